//! The alarm: wakes the ticker from its sleep. Apart from the ticker, so that the scheduler rings it and knows no
//! connection.

use crate::primitive::{AtomicBool, Bell, Mutex, Ordering};
use std::time::Duration;

/// Wakes the ticker from its endless sleep.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    asleep: AtomicBool,
    lock: Mutex<()>,
    bell: Bell,
}

impl Alarm {
    /// There is a connection, or the server stops. One atomic load while the ticker is awake.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            let _guard = self.lock.lock();
            self.bell.notify_all();
        }
    }

    /// Waits for an interval, or without end while `sleeps` holds. A loud ring after the interval was asked for ends
    /// the wait.
    pub(super) fn wait(&self, interval: impl Fn() -> Duration, sleeps: impl Fn() -> bool) {
        let guard = self.lock.lock();
        self.asleep.store(true, Ordering::SeqCst);
        // Announced first, looked second; a thread that rings has inserted first and looks second.
        if sleeps() {
            let _guard = self.bell.wait(guard);
            self.asleep.store(false, Ordering::SeqCst);
        } else {
            self.asleep.store(false, Ordering::SeqCst);
            drop(self.bell.wait_for(guard, interval()));
        }
    }

    /// Ends the wait in any case.
    pub(super) fn ring_loudly(&self) {
        let _guard = self.lock.lock();
        self.bell.notify_all();
    }
}

#[cfg(all(test, shuttle))]
mod model {
    use super::*;
    use crate::primitive::{AtomicUsize, effort};
    use shuttle::{check_random, thread};
    use std::sync::Arc;

    /// The acceptor takes a connection in and rings, the stop rings loudly; the ticker, which was about to sleep
    /// without end, sees both. If it looks before it `announces` its sleep, shuttle reports that it sleeps without end.
    fn a_ticker_that_is_about_to_sleep(announces: bool) {
        let model = move || {
            let alarm = Arc::new(Alarm::default());
            let open = Arc::new(AtomicUsize::new(0));
            let ticker = {
                let (alarm, open) = (alarm.clone(), open.clone());
                thread::spawn(move || {
                    while open.load(Ordering::SeqCst) == 0 {
                        let looked_early = open.load(Ordering::SeqCst) == 0;
                        let sleeps = || if announces { open.load(Ordering::SeqCst) == 0 } else { looked_early };
                        alarm.wait(|| Duration::from_millis(100), sleeps);
                    }
                })
            };
            open.store(1, Ordering::SeqCst);
            alarm.ring();
            ticker.join().expect("no panic in the model");
        };
        check_random(model, 5_000 * effort());
    }

    #[test]
    fn a_new_connection_wakes_the_ticker() {
        a_ticker_that_is_about_to_sleep(true);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn found_a_ticker_that_looks_before_it_announces() {
        a_ticker_that_is_about_to_sleep(false);
    }
}
