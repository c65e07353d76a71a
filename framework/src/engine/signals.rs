//! SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGUSR2. Only [`Running::wait`](super::Running::wait) and `App::serve` install
//! handlers: a library that stops a process it does not own would be a surprise. `App::serve` does so before it
//! listens, so a supervisor that has read that the program serves may stop it gracefully.
//!
//! The handlers do only what is safe in a signal handler: they set a flag and write a byte into a pipe, which wakes the
//! waiting thread. A signal that finds the flag set ends the process at once, with the status that shells expect: 130
//! or 143.

use crate::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2, SIGXFSZ};
use signal_hook::{SigId, flag, low_level};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The state of the handlers. Once installed they stay, so the process has one.
struct Handlers {
    /// A signal has come: the next one ends the process.
    armed: Arc<AtomicBool>,
    /// Which signal came last; 0 while none has.
    last: Arc<AtomicUsize>,
    /// SIGHUP has come and was not seen yet.
    hung_up: Arc<AtomicBool>,
    /// The same of SIGQUIT.
    asked: Arc<AtomicBool>,
    /// The same of SIGUSR2.
    upgrade: Arc<AtomicBool>,
}

/// A signal that an application acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT or SIGTERM, by its name.
    Stop(&'static str),
    HangUp,
    /// SIGQUIT: what does the program do?
    Ask,
    /// SIGUSR2: a newer program takes over.
    Upgrade,
    /// No signal: a [`Waker`] was used.
    News,
}

/// Ends the wait for signals once.
pub(super) struct Waker(UnixStream);

impl Waker {
    pub(super) fn wake(mut self) {
        // It fails when nobody waits any more, or when a byte is there already.
        let _ = self.0.write(&[0]);
    }
}

/// The signals from here on; a signal that comes before the wait is not lost.
pub(super) struct Signals {
    handlers: &'static Handlers,
    wake: UnixStream,
    waker: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    /// Installs the handlers, and forgets the signals that an earlier application of this process has had. From the
    /// first signal on the next one ends the process.
    pub(super) fn install() -> Result<Self> {
        let handlers = handlers()?;
        let (wake, waker) = UnixStream::pair()?;
        let mut signals = Self { handlers, wake, waker, registered: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR2] {
            signals.registered.push(low_level::pipe::register(signal, signals.waker.try_clone()?)?);
        }
        Ok(signals)
    }

    /// Something that ends the wait from another thread.
    pub(super) fn waker(&self) -> Result<Waker> {
        Ok(Waker(self.waker.try_clone()?))
    }

    /// Blocks until a signal has come, and tells of each once. A stop comes before everything else.
    pub(super) fn wait(&mut self) -> Result<Signal> {
        let mut is_woken = false;
        // Looked at when the pipe is in place: a signal is in one of the two.
        loop {
            let last = self.handlers.last.swap(0, Ordering::SeqCst);
            if last != 0 {
                let interrupted = i32::try_from(last) == Ok(SIGINT);
                return Ok(Signal::Stop(if interrupted { "SIGINT" } else { "SIGTERM" }));
            }
            if self.handlers.hung_up.swap(false, Ordering::SeqCst) {
                return Ok(Signal::HangUp);
            }
            if self.handlers.asked.swap(false, Ordering::SeqCst) {
                return Ok(Signal::Ask);
            }
            if self.handlers.upgrade.swap(false, Ordering::SeqCst) {
                return Ok(Signal::Upgrade);
            }
            if is_woken {
                return Ok(Signal::News);
            }
            match self.wake.read(&mut [0]) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => is_woken = true,
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // No thread waits any more, also after a start that has failed: the next signal ends the process.
        self.handlers.armed.store(true, Ordering::SeqCst);
        for registered in self.registered.drain(..) {
            low_level::unregister(registered);
        }
    }
}

fn handlers() -> Result<&'static Handlers> {
    static HANDLERS: OnceLock<Handlers> = OnceLock::new();
    if let Some(handlers) = HANDLERS.get() {
        // In this order: until it is disarmed, a signal ends the process, as it should.
        handlers.last.store(0, Ordering::SeqCst);
        handlers.hung_up.store(false, Ordering::SeqCst);
        handlers.asked.store(false, Ordering::SeqCst);
        handlers.upgrade.store(false, Ordering::SeqCst);
        handlers.armed.store(false, Ordering::SeqCst);
        return Ok(handlers);
    }
    let handlers = Handlers {
        armed: Arc::new(AtomicBool::new(false)),
        last: Arc::default(),
        hung_up: Arc::default(),
        asked: Arc::default(),
        upgrade: Arc::default(),
    };
    for (signal, number, status) in [(SIGINT, 2, 130), (SIGTERM, 15, 143)] {
        // In this order: noted from the first moment on, and the signal that arms is not taken for a second one.
        flag::register_usize(signal, handlers.last.clone(), number)?;
        flag::register_conditional_shutdown(signal, status, handlers.armed.clone())?;
        flag::register(signal, handlers.armed.clone())?;
    }
    flag::register(SIGHUP, handlers.hung_up.clone())?;
    flag::register(SIGQUIT, handlers.asked.clone())?;
    flag::register(SIGUSR2, handlers.upgrade.clone())?;
    // A handler of any kind turns the limit of file sizes from the end of the process into an error of the write, like
    // a full disk.
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(HANDLERS.get_or_init(|| handlers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_file_sizes_does_not_end_the_process() {
        drop(Signals::install().unwrap());
        low_level::raise(SIGXFSZ).unwrap();
    }

    #[test]
    fn a_question_does_not_end_the_process() {
        let mut signals = Signals::install().unwrap();
        low_level::raise(SIGQUIT).unwrap();
        assert_eq!(signals.wait().unwrap(), Signal::Ask);
    }

    #[test]
    fn a_thread_can_end_the_wait() {
        let mut signals = Signals::install().unwrap();
        signals.waker().unwrap().wake();
        assert_eq!(signals.wait().unwrap(), Signal::News);
    }

    #[test]
    fn a_signal_that_comes_before_the_pipe_is_in_place_is_not_lost() {
        drop(Signals::install().unwrap());
        let handlers = handlers().unwrap();
        low_level::raise(SIGTERM).unwrap();
        let (wake, waker) = UnixStream::pair().unwrap();
        let mut signals = Signals { handlers, wake, waker, registered: Vec::new() };
        assert_eq!(signals.wait().unwrap(), Signal::Stop("SIGTERM"));
    }
}
