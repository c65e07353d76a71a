//! The numbers of claims whose answers were lost: each may have taken a job that nobody is at. The next claim gives
//! such jobs back.

use parking_lot::Mutex;

/// The jobs of further claims are done again after their leases.
const MAX_LOST: usize = 64;

/// The lost claims of this process.
#[derive(Debug, Default)]
pub(super) struct LostClaims(Mutex<Vec<u64>>);

impl LostClaims {
    /// A number for a new claim. It fits into 63 bits.
    pub(super) fn new_number() -> u64 {
        u64::from_ne_bytes(crate::random::bytes()) >> 1
    }

    /// Those that are not given back; the caller does it, or keeps them again.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock())
    }

    /// These had no answer either.
    pub(super) fn keep(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut kept = self.0.lock();
        let room = MAX_LOST.saturating_sub(kept.len());
        kept.extend(numbers.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_claims_are_taken_once_and_their_number_is_bounded() {
        let lost = LostClaims::default();
        lost.keep([1, 2]);
        assert_eq!((lost.take(), lost.take()), (vec![1, 2], vec![]));
        lost.keep(0..1000);
        lost.keep([1]);
        assert_eq!(lost.take().len(), MAX_LOST);
    }
}
