//! Intervals, asked for those that hold a number.

pub(super) struct Stabbed {
    /// Sorted by their first numbers, each with what it belongs to.
    intervals: Vec<((u128, u128), usize)>,
    /// Of each half of a half, and so on: the greatest last number. A tree in an array, the root at 1.
    greatest: Vec<u128>,
    leaves: usize,
}

impl Stabbed {
    pub(super) fn new(mut intervals: Vec<((u128, u128), usize)>) -> Self {
        intervals.sort_unstable();
        let leaves = intervals.len().next_power_of_two();
        let mut greatest = vec![0; 2 * leaves];
        for (index, ((_, last), _)) in intervals.iter().enumerate() {
            greatest[leaves + index] = *last;
        }
        for node in (1..leaves).rev() {
            greatest[node] = greatest[2 * node].max(greatest[2 * node + 1]);
        }
        Self { intervals, greatest, leaves }
    }

    /// What the intervals that hold this number belong to, as many as `most`.
    pub(super) fn at(&self, number: u128, most: usize) -> Vec<usize> {
        let begun = self.intervals.partition_point(|((first, _), _)| *first <= number);
        let mut found = Vec::new();
        let mut waiting = vec![(1, 0, self.leaves)];
        while let Some((node, from, size)) = waiting.pop() {
            if found.len() >= most {
                break;
            }
            if from >= begun || self.greatest[node] < number {
                continue;
            }
            if size == 1 {
                found.push(self.intervals[from].1);
            } else {
                waiting.push((2 * node + 1, from + size / 2, size / 2));
                waiting.push((2 * node, from, size / 2));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_those_that_hold_a_number_are_found() {
        let intervals =
            vec![((0, 9), 0), ((3, 3), 1), ((4, 20), 2), ((4, 5), 3), ((30, 40), 4), ((0, u128::MAX), 5)];
        let stabbed = Stabbed::new(intervals.clone());
        for number in [0, 3, 4, 6, 9, 10, 20, 21, 30, 41, u128::MAX] {
            let mut found = stabbed.at(number, usize::MAX);
            found.sort_unstable();
            let holds = intervals.iter().filter(|((first, last), _)| (*first..=*last).contains(&number));
            let mut wanted: Vec<usize> = holds.map(|(_, index)| *index).collect();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{number}");
        }
        assert_eq!(stabbed.at(4, 2), [0, 5]);
        assert_eq!(Stabbed::new(Vec::new()).at(0, 1), Vec::<usize>::new());
    }
}
