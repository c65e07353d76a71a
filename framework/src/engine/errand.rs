//! Work that a signal asks for, on a thread of its own: it runs code of the application, which may hang, and the signal
//! that stops the program must be heard meanwhile.

use crate::threads::Threads;
use crossbeam_channel::{Sender, TrySendError, bounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the stop waits for work that was asked for before it.
const GRACE: Duration = Duration::from_secs(1);

/// One kind of work. Its thread starts when it is first asked for.
pub(super) struct Errand {
    name: &'static str,
    work: Arc<dyn Fn() + Send + Sync>,
    asked: Option<Sender<()>>,
    thread: Threads,
}

impl Errand {
    pub(super) fn new(name: &'static str, work: impl Fn() + Send + Sync + 'static) -> Self {
        Self { name, work: Arc::new(work), asked: None, thread: Threads::new() }
    }

    /// Asks for the work. While it waits for its turn, asking again changes nothing.
    pub(super) fn ask(&mut self) {
        if let Some(asked) = &self.asked
            && let Ok(()) | Err(TrySendError::Full(())) = asked.try_send(())
        {
            return;
        }
        let (ask, asked) = bounded(1);
        let (name, work) = (self.name, self.work.clone());
        let life = move || asked.iter().for_each(|()| work());
        match self.thread.spawn(name, life) {
            Ok(()) => {
                let _ = ask.try_send(());
                self.asked = Some(ask);
            }
            Err(error) => crate::line::record!(Error, target: "kirsch::engine", "{error}"),
        }
    }

    /// The program stops: waits a moment for work that has begun, and names it if it has not ended then.
    pub(super) fn end(&mut self) {
        self.asked = None;
        for thread in self.thread.end_by(Instant::now() + GRACE) {
            crate::line::record!(Warn, target: "kirsch::engine", "the thread {thread:?} hangs; the program stops without it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    #[test]
    fn asking_waits_for_nothing_and_what_waits_is_done_once() {
        let (began, begun) = unbounded();
        let (go_on, gate) = unbounded::<()>();
        let mut errand = Errand::new("kirsch-errand", move || {
            began.send(()).unwrap_or_default();
            gate.recv().unwrap_or_default();
        });
        errand.ask();
        begun.recv().expect("it begins");
        (0..5).for_each(|_| errand.ask());
        go_on.send(()).expect("it waits");
        begun.recv().expect("it begins once more");
        go_on.send(()).expect("it waits");
        errand.end();
        assert!(begun.try_recv().is_err(), "five times asked, once done");
    }

    #[test]
    fn work_that_hangs_does_not_hold_up_the_stop() {
        let (began, begun) = unbounded();
        let (_go_on, gate) = unbounded::<()>();
        let mut errand = Errand::new("kirsch-errand", move || {
            began.send(()).unwrap_or_default();
            gate.recv().unwrap_or_default();
        });
        errand.ask();
        begun.recv().expect("it begins");
        errand.end();
    }

    #[test]
    fn work_that_panics_can_be_asked_for_again() {
        let (began, begun) = unbounded();
        let mut errand = Errand::new("kirsch-errand", move || {
            began.send(()).unwrap_or_default();
            panic!("the first time and all others");
        });
        for _ in 0..2 {
            errand.ask();
            begun.recv().expect("it begins");
            errand.thread.end_by(Instant::now() + Duration::from_secs(60));
        }
    }
}
