//! The contents of a list file: one address, prefix or range a line.

use super::{AddrRange, AddressError, Family};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListContents {
    /// Sorted, without overlaps, neighbours merged.
    pub ranges: Vec<AddrRange>,
    /// How many entries stand in the file.
    pub entries: usize,
    /// How many of them are no range of their own, because they are part of another one or touch it.
    pub merged: usize,
}

/// What is wrong with a list. It has line numbers and reasons, but never what a line holds: the file may be one that the
/// reader of the message must not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListErrors {
    /// The first [`ListErrors::SHOWN`] bad lines, counted from 1.
    pub first: Vec<(usize, AddressError)>,
    pub count: usize,
}

impl ListErrors {
    pub const SHOWN: usize = 20;
}

/// Reads a list. `#` and `;` begin a comment anywhere in a line; blank lines, CRLF and a byte order mark are taken.
pub fn parse_list(text: &str) -> Result<ListContents, ListErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut ranges = Vec::new();
    let mut errors = ListErrors { first: Vec::new(), count: 0 };
    for (index, line) in text.lines().enumerate() {
        let entry = line.split(['#', ';']).next().unwrap_or("").trim();
        if entry.is_empty() {
            continue;
        }
        match entry.parse() {
            Ok(range) => ranges.push(range),
            Err(reason) => {
                errors.count += 1;
                if errors.first.len() < ListErrors::SHOWN {
                    errors.first.push((index + 1, reason));
                }
            }
        }
    }
    if errors.count > 0 {
        return Err(errors);
    }
    let entries = ranges.len();
    let ranges = merge(ranges);
    Ok(ListContents { merged: entries - ranges.len(), entries, ranges })
}

fn merge(mut ranges: Vec<AddrRange>) -> Vec<AddrRange> {
    ranges.sort_unstable();
    let mut merged: Vec<(Family, u128, u128)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (first, last) = range.bits();
        match merged.last_mut() {
            Some((family, _, end)) if *family == range.family() && first <= end.saturating_add(1) => {
                *end = last.max(*end);
            }
            _ => merged.push((range.family(), first, last)),
        }
    }
    merged.into_iter().map(|(family, first, last)| AddrRange::from_bits(family, first, last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_merged() {
        let text = "\u{feff}# block list\r\n198.51.100.7 ; seen twice\r\n\r\n2001:db8::/32\n192.0.2.128/25#x\n192.0.2.0/25\n\
                    198.51.100.7\n192.0.2.9\n  203.0.113.1-203.0.113.9\t\n203.0.113.11\n;end";
        let contents = parse_list(text).unwrap();
        let ranges: Vec<String> = contents.ranges.iter().map(AddrRange::to_string).collect();
        let expected =
            ["192.0.2.0/24", "198.51.100.7", "203.0.113.1-203.0.113.9", "203.0.113.11", "2001:db8::/32"];
        assert_eq!(
            (ranges.as_slice(), contents.entries, contents.merged),
            (&expected.map(String::from)[..], 8, 3)
        );
    }

    #[test]
    fn the_whole_of_both_families_does_not_overflow() {
        let contents = parse_list("::/0\n0.0.0.0/0\nffff::/16\n255.255.255.255\n").unwrap();
        assert_eq!(contents.ranges, Family::BOTH.map(AddrRange::all));
        assert_eq!(parse_list("").unwrap(), ListContents::default());
    }

    #[test]
    fn bad_lines_are_counted_with_their_reasons() {
        let errors =
            parse_list("192.0.2.1\n# x\nroot:secret:1\n192.0.2.5/24\n9.9.9.9-1.1.1.1\n").unwrap_err();
        let prefix = AddressError::HostBits("192.0.2.0/24".into());
        assert_eq!(errors.first, [(3, AddressError::Syntax), (4, prefix), (5, AddressError::Inverted)]);
        let many = parse_list(&"x\n".repeat(500)).unwrap_err();
        assert_eq!((many.first.len(), many.count, many.first[19].0), (20, 500, 20));
    }
}
