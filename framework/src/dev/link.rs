//! The link to `kirsch dev`: a Unix socket, and the thread that reads it.
//!
//! The first line is read before the application starts, so the first page knows already what it is made of. If the
//! other end goes away, `kirsch dev` has been killed; this program would keep the port from the next one, so it stops.

use super::live::Live;
use super::{Progress, VARIABLE};
use crate::Result;
use crate::bus::{Deadline, Engine, Plugin};
use crate::exchange::Error;
use crate::threads::Threads;
use parking_lot::Mutex;
use rustix::process::{Signal, getpid, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the first line may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// More is no line of `kirsch dev`.
const MAX_LINE: u64 = 16 << 20;

/// The link, which lives with the application.
pub(crate) struct Link {
    live: Live,
    socket: UnixStream,
    unread: Mutex<Option<BufReader<UnixStream>>>,
    thread: Mutex<Threads>,
    /// The end of the link is no news any more. A second SIGTERM would end the process at once.
    is_stopping: Arc<AtomicBool>,
}

impl Link {
    /// `None` if this program was not started by `kirsch dev`.
    pub(crate) fn of_environment() -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
        let linked = UnixStream::connect(path).and_then(Self::over);
        linked
            .map(Some)
            .map_err(|error| Error::unexpected(format!("{VARIABLE}: `kirsch dev` cannot be reached: {error}")))
    }

    fn over(socket: UnixStream) -> std::io::Result<Self> {
        let mut unread = BufReader::new(socket.try_clone()?);
        socket.set_read_timeout(Some(PATIENCE))?;
        let first = next(&mut unread)?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        socket.set_read_timeout(None)?;
        let live = Live::new(first);
        Ok(Self {
            live,
            socket,
            unread: Mutex::new(Some(unread)),
            thread: Mutex::new(Threads::new()),
            is_stopping: Arc::default(),
        })
    }

    pub(super) fn live(&self) -> Live {
        self.live.clone()
    }
}

/// The next line; `None` at the end.
fn next(lines: &mut BufReader<UnixStream>) -> std::io::Result<Option<Progress>> {
    let mut line = Vec::new();
    lines.take(MAX_LINE).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) => Err(std::io::Error::other("a line has no end")),
    }
}

impl Plugin for Link {
    fn name(&self) -> &str {
        "kirsch dev"
    }

    /// Stopped before the server is drained: the browsers that wait would hold that up.
    fn priority(&self) -> u8 {
        76
    }

    fn start(&self, _: &Engine) -> Result<()> {
        let Some(mut unread) = self.unread.lock().take() else { return Ok(()) };
        let (live, is_stopping) = (self.live.clone(), self.is_stopping.clone());
        self.thread.lock().spawn("kirsch-dev", move || {
            while let Ok(Some(progress)) = next(&mut unread) {
                live.update(progress);
            }
            if !is_stopping.load(Ordering::Relaxed) {
                // To oneself it is always allowed.
                let _ = kill_process(getpid(), Signal::TERM);
            }
        })?;
        Ok(())
    }

    fn stop(&self, deadline: Deadline) -> Result<()> {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.live.close();
        let _ = self.socket.shutdown(Shutdown::Both);
        self.thread.lock().end_by(deadline.at());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn over(bytes: &[u8]) -> std::io::Result<Link> {
        let (mut parent, program) = UnixStream::pair().unwrap();
        parent.write_all(bytes).unwrap();
        drop(parent);
        Link::over(program)
    }

    #[test]
    fn the_first_line_is_read_before_the_start() {
        let first = serde_json::to_string(&Progress { version: 5, ..Progress::default() }).unwrap() + "\n";
        assert_eq!(over(first.as_bytes()).unwrap().live().present().version, 5);
    }

    #[test]
    fn what_is_no_state_stops_the_start() {
        for bytes in ["", "{}", "{}\n", "null\n", "Hello\n"] {
            assert!(over(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
