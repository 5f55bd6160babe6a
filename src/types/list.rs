//! The contents of a list file: one address, prefix or range a line.

use super::ranges::{Gatherer, Ranges};
use super::{AddrRange, AddressError, Family};
use std::io::BufRead;
use std::net::IpAddr;

/// Addresses of both families: sorted, without overlaps, neighbours merged. A copy shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList {
    v4: Ranges,
    v6: Ranges,
}

impl AddressList {
    /// The ranges of one family.
    pub fn of(&self, family: Family) -> &Ranges {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.of(Family::of(address)).contains(address)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges() == 0
    }

    /// How many ranges there are, of both families.
    pub fn ranges(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// IPv4 before IPv6, each in order.
    pub fn iter(&self) -> impl Iterator<Item = AddrRange> + '_ {
        Family::BOTH.into_iter().flat_map(|family| {
            self.of(family).iter().map(move |(first, last)| AddrRange::from_bits(family, first, last))
        })
    }
}

impl Default for AddressList {
    fn default() -> Self {
        Gatherer::default().finish()
    }
}

impl FromIterator<AddrRange> for AddressList {
    fn from_iter<I: IntoIterator<Item = AddrRange>>(ranges: I) -> Self {
        let mut gatherer = Gatherer::default();
        ranges.into_iter().for_each(|range| gatherer.push(range));
        gatherer.finish()
    }
}

impl Gatherer {
    fn finish(self) -> AddressList {
        let (v4, v6) = self.ranges();
        AddressList { v4, v6 }
    }
}

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListContents {
    pub list: AddressList,
    /// How many entries stand in the file.
    pub entries: usize,
    /// How many of them are no range of their own, because they are part of another one or touch it.
    pub merged: usize,
}

/// What is wrong with a list. It has line numbers and reasons, but never what a line holds: the file may be one that the
/// reader of the message must not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListErrors {
    /// The first [`ListErrors::SHOWN`] bad lines, counted from 1.
    pub first: Vec<(usize, AddressError)>,
    pub count: usize,
}

impl ListErrors {
    pub const SHOWN: usize = 20;
}

/// The first octet of a text that is no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText {
    pub line: usize,
    /// In characters.
    pub column: usize,
}

/// Takes a list piece by piece, and holds no more of its text than a line.
///
/// `#` and `;` begin a comment anywhere in a line; blank lines, CRLF and a byte order mark are taken.
#[derive(Default)]
pub struct ListReader {
    /// The line that has begun.
    begun: Vec<u8>,
    lines: usize,
    entries: usize,
    gatherer: Gatherer,
    errors: ListErrors,
}

impl ListReader {
    /// The next octets of the text; they may end anywhere.
    pub fn push(&mut self, mut text: &[u8]) -> Result<(), NotText> {
        while !text.is_empty() {
            // Reading from memory does not fail.
            let _ = text.read_until(b'\n', &mut self.begun);
            if self.begun.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Result<ListContents, ListErrors>, NotText> {
        self.end_line()?;
        if self.errors.count > 0 {
            return Ok(Err(self.errors));
        }
        let (entries, list) = (self.entries, self.gatherer.finish());
        Ok(Ok(ListContents { merged: entries - list.ranges(), entries, list }))
    }

    fn end_line(&mut self) -> Result<(), NotText> {
        let line = std::mem::take(&mut self.begun);
        self.lines += 1;
        let text = std::str::from_utf8(&line).map_err(|error| {
            let good = String::from_utf8_lossy(&line[..error.valid_up_to()]);
            NotText { line: self.lines, column: good.chars().count() + 1 }
        })?;
        self.line(text);
        self.begun = line;
        self.begun.clear();
        Ok(())
    }

    fn line(&mut self, text: &str) {
        let text = if self.lines == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let entry = text.split_once('#').map_or(text, |(entry, _)| entry);
        let entry = entry.split_once(';').map_or(entry, |(entry, _)| entry).trim();
        if entry.is_empty() {
            return;
        }
        match entry.parse() {
            Ok(range) => {
                self.entries += 1;
                self.gatherer.push(range);
            }
            Err(reason) => {
                self.errors.count += 1;
                if self.errors.first.len() < ListErrors::SHOWN {
                    self.errors.first.push((self.lines, reason));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text in pieces of so many octets.
    fn in_pieces(text: &[u8], size: usize) -> Result<Result<ListContents, ListErrors>, NotText> {
        let mut reader = ListReader::default();
        text.chunks(size).try_for_each(|piece| reader.push(piece))?;
        reader.finish()
    }

    fn read(text: &str) -> Result<ListContents, ListErrors> {
        let whole = in_pieces(text.as_bytes(), usize::MAX).unwrap();
        for size in [1, 2, 7] {
            assert_eq!(in_pieces(text.as_bytes(), size).unwrap(), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn lists_are_sorted_and_merged() {
        let text = "\u{feff}# block list\r\n198.51.100.7 ; seen twice\r\n\r\n2001:db8::/32\n192.0.2.128/25#x\n192.0.2.0/25\n\
                    198.51.100.7\n192.0.2.9\n  203.0.113.1-203.0.113.9\t\n203.0.113.11\n;end";
        let contents = read(text).unwrap();
        let ranges: Vec<String> = contents.list.iter().map(|range| range.to_string()).collect();
        let expected =
            ["192.0.2.0/24", "198.51.100.7", "203.0.113.1-203.0.113.9", "203.0.113.11", "2001:db8::/32"];
        assert_eq!(
            (ranges.as_slice(), contents.entries, contents.merged),
            (&expected.map(String::from)[..], 8, 3)
        );
    }

    #[test]
    fn the_whole_of_both_families_does_not_overflow() {
        let contents = read("::/0\n0.0.0.0/0\nffff::/16\n255.255.255.255\n").unwrap();
        assert!(contents.list.iter().eq(Family::BOTH.map(AddrRange::all)));
        assert_eq!(read("").unwrap(), ListContents::default());
    }

    #[test]
    fn bad_lines_are_counted_with_their_reasons() {
        let errors = read("192.0.2.1\n# x\nroot:secret:1\n192.0.2.5/24\n9.9.9.9-1.1.1.1\n").unwrap_err();
        let prefix = AddressError::HostBits("192.0.2.0/24".into());
        assert_eq!(errors.first, [(3, AddressError::Syntax), (4, prefix), (5, AddressError::Inverted)]);
        let many = read(&"x\n".repeat(500)).unwrap_err();
        assert_eq!((many.first.len(), many.count, many.first[19].0), (20, 500, 20));
    }

    #[test]
    fn the_first_octet_that_is_no_utf8_has_its_line_and_column() {
        for size in [1, 3, 100] {
            let place = in_pieces(b"192.0.2.1\n\n# \xc3\xb6\xff\nx\n", size).unwrap_err();
            assert_eq!(place, NotText { line: 3, column: 4 }, "in pieces of {size}");
        }
        assert_eq!(in_pieces(b"\xc3", 1).unwrap_err(), NotText { line: 1, column: 1 });
    }
}
