//! Locks, atomics and waits of the parts that are checked by models: the real ones, or a model checker's while a model
//! runs.
//!
//! * `--cfg loom` replaces the atomics of `server/word.rs` and `server/reserve.rs`; loom tries all interleavings and
//!   all weak orders of a few threads.
//! * `--cfg shuttle` replaces everything here; shuttle tries many schedules of the scheduler and of the wait list.
//!
//! Where neither is set, every name here is the real thing itself and costs nothing. `docs/reliability.md` says how to
//! run the models.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::thread::{Thread, current, park_timeout, yield_now as give_way};
}
#[cfg(not(any(loom, shuttle)))]
pub(crate) use real::*;

#[cfg(loom)]
mod modelled {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(crate) use loom::thread::yield_now as give_way;
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
    pub(crate) use std::thread::{Thread, current, park_timeout};
}

#[cfg(shuttle)]
mod modelled {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::thread::{Thread, current, park_timeout, yield_now as give_way};

    pub(crate) use shuttle::sync::MutexGuard;

    /// Shuttle's lock with the signature of `parking_lot`'s.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}
#[cfg(any(loom, shuttle))]
pub(crate) use modelled::*;

/// A condition variable whose wait takes the guard and returns it, like those of the standard library and of shuttle.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    #[cfg(not(shuttle))]
    condition: parking_lot::Condvar,
    #[cfg(shuttle)]
    condition: shuttle::sync::Condvar,
}

impl Bell {
    #[cfg(not(shuttle))]
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.condition.wait(&mut guard);
        guard
    }

    #[cfg(shuttle)]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.condition.wait(guard).expect("a model ends with its first panic")
    }

    /// Like [`wait`](Self::wait), for at most this long. Under a model time is another thread's turn.
    #[cfg(not(shuttle))]
    pub(crate) fn wait_for<'a, T>(&self, mut guard: MutexGuard<'a, T>, most: Duration) -> MutexGuard<'a, T> {
        self.condition.wait_for(&mut guard, most);
        guard
    }

    #[cfg(shuttle)]
    pub(crate) fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, _most: Duration) -> MutexGuard<'a, T> {
        give_way();
        guard
    }

    pub(crate) fn notify_all(&self) {
        self.condition.notify_all();
    }
}

/// Wakes a thread that waits with [`park_timeout`].
pub(crate) struct Unpark(Thread);

impl Unpark {
    /// Wakes this thread.
    pub(crate) fn waker() -> Waker {
        Waker::from(Arc::new(Self(current())))
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the future on this thread, until the deadline at most.
pub(crate) fn block_on<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Unpark::waker();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        park_timeout(left);
    }
}

/// How many times more schedules than usual the models try: the environment variable `EFFORT`.
#[cfg(all(test, shuttle))]
pub(crate) fn effort() -> usize {
    std::env::var("EFFORT").ok().and_then(|effort| effort.parse().ok()).unwrap_or(1)
}
