//! Whether ranges together hold another one.

use crate::types::AddrRange;

/// Whether every address of a range is in one of these, which are sorted by their first addresses within a family.
pub(in crate::model) fn covers<'r>(ranges: impl Iterator<Item = &'r AddrRange>, wanted: &AddrRange) -> bool {
    let of_family = ranges.filter(|range| range.family() == wanted.family());
    fills(of_family.map(AddrRange::bits), wanted.bits())
}

/// The same for numbers; the pieces are sorted.
pub(super) fn fills(pieces: impl Iterator<Item = (u128, u128)>, (first, last): (u128, u128)) -> bool {
    let mut next = first;
    for (from, to) in pieces {
        if from > next {
            return false;
        }
        if to >= last {
            return true;
        }
        next = next.max(to + 1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_what_they_leave_no_gap_in() {
        let fills = |pieces: &[(u128, u128)], wanted| fills(pieces.iter().copied(), wanted);
        assert!(fills(&[(1, 5)], (2, 5)) && fills(&[(0, 3), (2, 9), (10, 12)], (1, 11)));
        assert!(!fills(&[(1, 5)], (0, 5)) && !fills(&[(1, 5)], (1, 6)) && !fills(&[(0, 3), (5, 9)], (1, 8)));
        assert!(!fills(&[], (0, 0)) && fills(&[(0, u128::MAX)], (0, u128::MAX)));
        assert!(fills(&[(0, 1), (7, 7), (7, 9)], (7, 9)) && fills(&[(0, 1), (3, 9)], (4, 4)));
    }
}
