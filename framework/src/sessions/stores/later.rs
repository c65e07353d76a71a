//! Answers that come later: waiting for them where a caller blocks.

use crate::primitive::block_on;
use crate::sessions::{StoreError, StoreFuture};
use std::time::{Duration, Instant};

/// The answer to a question that could not be asked.
pub(super) fn refused<T: Send + 'static>(error: StoreError) -> StoreFuture<T> {
    Box::pin(std::future::ready(Err(error)))
}

/// Waits for an answer on this thread. It ends by itself: each question has a deadline of its own.
pub(super) fn wait<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    const NEVER: Duration = Duration::from_secs(3600);
    let never = || Err(StoreError::new("the store did not answer in time", "its own deadlines have passed"));
    block_on(answer, Instant::now() + NEVER).unwrap_or_else(never)
}
