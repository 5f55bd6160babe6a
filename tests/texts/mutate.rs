//! Damage to texts: what slips, merges, editors and templates do, and what nobody would.

use crate::numbers::Random;

pub fn mutated(random: &mut Random, text: &str, other: &str) -> Vec<u8> {
    // Most damage that leaves TOML whole is damage to meaning.
    if random.one_in(2) {
        let mut text = text.to_owned();
        for _ in 0..=random.below(3) {
            text = meant_otherwise(random, &text, other);
        }
        return text.into_bytes();
    }
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(2) {
        bytes = once(random, bytes, other);
    }
    bytes
}

/// A string takes the place of another, a line goes, comes or is moved: the text stays TOML as a rule.
fn meant_otherwise(random: &mut Random, text: &str, other: &str) -> String {
    let here = strings(text);
    let there = strings(other);
    if here.is_empty() || there.is_empty() {
        return text.to_owned();
    }
    let (start, end) = here[random.below(here.len())];
    let replaced = |by: &str| format!("{}{by}{}", &text[..start], &text[end..]);
    match random.below(7) {
        0 | 1 => {
            let (from, until) = here[random.below(here.len())];
            replaced(&text[from..until])
        }
        2 => {
            let (from, until) = there[random.below(there.len())];
            replaced(&other[from..until])
        }
        3 => replaced(random.pick(&SPELT)),
        4 => {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let gone = 1 + random.below(lines.len().max(2) - 1);
            lines.iter().enumerate().filter(|(line, _)| *line != gone).map(|(_, line)| *line).collect()
        }
        5 => {
            let section = other.find("\n[").map_or("", |at| &other[at..]);
            format!("{text}{section}")
        }
        _ => replaced(&text[start..end].to_uppercase()),
    }
}

/// What a site might write, nearly right.
const SPELT: [&str; 20] = [
    "@nobody",
    "@g0.x",
    "any",
    "broadcast",
    "10.20.0.0/33",
    "10.20.0.1/16",
    "192.0.2.20-192.0.2.10",
    "::ffff:192.0.2.7",
    "tcp/90-80",
    "tcp/65536",
    "tcp",
    "smpt",
    "localhost",
    "*.example.net",
    "out",
    "deny",
    "500ms",
    "rule-0.allow",
    "ftp",
    "",
];

/// Where the texts between quotes stand.
fn strings(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let offset = line.as_ptr() as usize - text.as_ptr() as usize;
        let quotes: Vec<usize> = line.match_indices(['"', '\'']).map(|(at, _)| offset + at).collect();
        found.extend(quotes.chunks_exact(2).map(|pair| (pair[0] + 1, pair[1])));
    }
    found
}

/// Characters and words that mean something to TOML or to the language.
const WORDS: [&str; 30] = [
    "\"",
    "'",
    "'''",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    "\\",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "ß",
    "\u{1f600}",
    "@",
    "!",
    "any",
    "-1",
    "1e999",
    "0x7fffffffffffffff",
    "9999-99-99",
    "true",
    "language = 1\n",
];

fn once(random: &mut Random, mut bytes: Vec<u8>, other: &str) -> Vec<u8> {
    let from = random.below(bytes.len() + 1);
    let until = (from + random.below(24)).min(bytes.len());
    match random.below(12) {
        0 if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        1 => drop(bytes.drain(from..until)),
        2 => bytes.extend_from_within(from..until),
        3 => drop(bytes.splice(from..from, random.pick(&WORDS).bytes())),
        4 => {
            return lines(random, bytes, |random, lines| {
                let line = lines[random.below(lines.len())].clone();
                lines.insert(random.below(lines.len() + 1), line);
            });
        }
        5 => return lines(random, bytes, |random, lines| drop(lines.remove(random.below(lines.len())))),
        6 => {
            return lines(random, bytes, |random, lines| {
                let (a, b) = (random.below(lines.len()), random.below(lines.len()));
                lines.swap(a, b);
            });
        }
        7 => return swapped_values(random, bytes),
        8 => {
            let theirs: Vec<&str> = other.split_inclusive('\n').collect();
            let line = theirs[random.below(theirs.len())].as_bytes().to_vec();
            drop(bytes.splice(from..from, line));
        }
        9 => {
            let long =
                random.pick(&["x", "@", "1", "a.", "\"", "é", " ", "/0"]).repeat(1 + random.below(5000));
            drop(bytes.splice(from..from, long.bytes()));
        }
        10 => {
            let (open, close) = [("[", "]"), ("{a=", "}"), ("a.", ""), ("[[", "]]")][random.below(4)];
            let depth = 1 + random.below(3000);
            drop(bytes.splice(from..from, format!("{}{}", open.repeat(depth), close.repeat(depth)).bytes()));
        }
        _ => return digits(random, bytes),
    }
    bytes
}

fn lines(
    random: &mut Random,
    bytes: Vec<u8>,
    change: impl FnOnce(&mut Random, &mut Vec<Vec<u8>>),
) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if !lines.is_empty() {
        change(random, &mut lines);
    }
    lines.concat()
}

/// Two lines exchange what stands behind their `=`.
fn swapped_values(random: &mut Random, bytes: Vec<u8>) -> Vec<u8> {
    lines(random, bytes, |random, lines| {
        let with: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].contains(&b'=')).collect();
        if with.len() < 2 {
            return;
        }
        let (a, b) = (with[random.below(with.len())], with[random.below(with.len())]);
        let at = |line: &[u8]| line.iter().position(|byte| *byte == b'=').expect("it has one");
        let (mut one, mut two) = (lines[a].clone(), lines[b].clone());
        let (tail_one, tail_two) = (one.split_off(at(&one)), two.split_off(at(&two)));
        one.extend(tail_two);
        two.extend(tail_one);
        (lines[a], lines[b]) = (one, two);
    })
}

/// A number becomes another, perhaps out of all bounds.
fn digits(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    let at: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    if at.is_empty() {
        return bytes;
    }
    let start = at[random.below(at.len())];
    let number = random.pick(&[
        "0",
        "1",
        "31",
        "33",
        "129",
        "255",
        "256",
        "65535",
        "65536",
        "4294967296",
        "-1",
        "1.5",
        "99999999999999999999",
    ]);
    drop(bytes.splice(start..=start, number.bytes()));
    bytes
}
