//! The name that was probably meant.

use std::cmp::Reverse;

/// `did you mean "admins"?`, or the names there are, or that there is none.
pub fn did_you_mean<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(nearest) = nearest(name, known.iter().copied()) {
        return format!("did you mean \"{nearest}\"?");
    }
    match known.as_slice() {
        [] => format!("there is no {what} yet"),
        few if few.len() <= 16 => format!("known: {}", few.join(", ")),
        many => format!("{} are known", many.len()),
    }
}

/// The known name that takes the fewest changes, among those the one that begins most alike; or the one that shares a long
/// beginning.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let lower = name.to_lowercase();
    let name = lower.as_str();
    let allowed = if name.len() < 4 { 1 } else { (name.len() / 3).max(2) };
    let close = known.iter().filter(|other| other.len().abs_diff(name.len()) <= 4 * allowed);
    let close = close.map(|other| (distance(name, other), Reverse(beginning(name, other)), *other));
    let best = close.filter(|(changes, ..)| *changes <= allowed).min();
    best.map(|(.., other)| other).or_else(|| same_beginning(name, &known))
}

/// How many octets both begin with.
fn beginning(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

fn same_beginning<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let best =
        known.iter().map(|other| (beginning(name, other), *other)).max_by_key(|(length, _)| *length)?;
    (best.0 >= 4).then_some(best.1)
}

/// How many characters must be put in, taken out, replaced, or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        let count =
            |a, b, changes| assert_eq!((distance(a, b), distance(b, a)), (changes, changes), "{a} {b}");
        count("", "", 0);
        count("", "abc", 3);
        count("kitten", "sitting", 3);
        count("ab", "ba", 1);
        count("directoin", "direction", 1);
        count("zwölf", "zwolf", 1);
    }

    #[test]
    fn a_slip_of_the_finger_and_a_longer_word_are_found() {
        let known = ["admins", "dns-servers", "ftp-servers", "sftp-servers"];
        assert_eq!(nearest("administrators", known), Some("admins"));
        assert_eq!(nearest("dns-server", known), Some("dns-servers"));
        assert_eq!(nearest("fpt-servers", known), Some("ftp-servers"));
        assert_eq!(nearest("tpc", ["tcp", "udp"]), Some("tcp"));
        assert_eq!(nearest("ADMINS", known), Some("admins"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
    }
}
