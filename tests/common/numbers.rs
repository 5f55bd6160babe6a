//! Numbers that look random and are the same in every run (xorshift64*).
#![allow(dead_code)]

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many of them, at least one, each once.
    pub fn some(&mut self, from: &[&str], most: usize) -> Vec<String> {
        let count = 1 + self.below(most);
        let mut picked: Vec<String> = (0..count).map(|_| self.pick(from).to_owned()).collect();
        picked.sort_unstable();
        picked.dedup();
        self.shuffle(&mut picked);
        picked
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
