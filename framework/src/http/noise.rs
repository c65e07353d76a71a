//! Bytes that look random and are the same in every run, for tests that break good input in many ways.

/// A xorshift generator.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    /// Replaces, inserts or removes one to four bytes.
    pub(super) fn mutate(&mut self, input: &mut Vec<u8>, alphabet: &[u8]) {
        for _ in 0..=self.below(4) {
            let (place, byte) = (self.below(input.len()), alphabet[self.below(alphabet.len())]);
            match self.below(3) {
                0 => input[place] = byte,
                1 => input.insert(place, byte),
                _ => drop(input.remove(place)),
            }
        }
    }
}
