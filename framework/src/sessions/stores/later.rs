//! Answers that come later: making them, and waiting for them where a caller blocks.

use crate::primitive::block_on;
use crate::sessions::{StoreError, StoreFuture};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The answer to a question that could not be asked.
pub(super) fn refused<T: Send + 'static>(error: StoreError) -> StoreFuture<T> {
    Box::pin(std::future::ready(Err(error)))
}

/// What comes of the steps that an engine makes, as a future.
pub(super) fn answer<E, T, F>(
    engine: Result<&Arc<E>, StoreError>,
    steps: impl FnOnce(Arc<E>) -> Result<F, StoreError>,
) -> StoreFuture<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    match engine.and_then(|engine| steps(Arc::clone(engine))) {
        Ok(answer) => Box::pin(answer),
        Err(error) => refused(error),
    }
}

/// Waits for an answer on this thread. It ends by itself: each question has a deadline of its own.
pub(super) fn wait<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    const NEVER: Duration = Duration::from_secs(3600);
    let never = || Err(StoreError::new("the store did not answer in time", "its own deadlines have passed"));
    block_on(answer, Instant::now() + NEVER).unwrap_or_else(never)
}
