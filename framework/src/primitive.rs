//! Locks, atomics and waits of the parts that are checked by models: the real ones, or a model checker's while a model runs.
//!
//! * `--cfg loom` replaces the one word of `server/word.rs`; loom tries all interleavings and all weak orders of a few threads.
//! * `--cfg shuttle` replaces what is here; shuttle tries many schedules of the scheduler and of the table of session locks.
//!
//! Where neither is set, every name here is the real thing itself and costs nothing. `docs/reliability.md` says how to run the models.

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::thread::{Thread, current, park_timeout, yield_now as give_way};
}
#[cfg(not(any(loom, shuttle)))]
pub(crate) use real::*;

#[cfg(loom)]
mod modelled {
    pub(crate) use loom::sync::atomic::AtomicU64;
    pub(crate) use loom::thread::yield_now as give_way;
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
    pub(crate) use std::thread::{Thread, current, park_timeout};
}

#[cfg(shuttle)]
mod modelled {
    pub(crate) use shuttle::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::thread::{Thread, current, park_timeout, yield_now as give_way};

    /// Shuttle's lock with the signature of `parking_lot`'s.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model ends with its first panic")
        }
    }
}
#[cfg(any(loom, shuttle))]
pub(crate) use modelled::*;
