//! What a process writes to its standard error: passed on at once, and the last of it kept for the report.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How much is kept.
const MAX_KEPT: usize = 16 << 10;
/// A process that has ended may have left children that go on writing.
const PATIENCE: Duration = Duration::from_millis(300);

/// The last of it.
#[derive(Debug)]
pub(crate) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Tail {
    /// Reads on a thread of its own.
    pub(crate) fn follow(stream: impl Read + Send + 'static, mut reader: impl Write + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = channel();
        let keep = kept.clone();
        thread::spawn(move || {
            let _end = end;
            let mut lines = BufReader::new(stream);
            let mut line = Vec::new();
            while lines.by_ref().take(MAX_KEPT as u64).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                // Nobody may read it any more, and that stops nothing.
                let _ = reader.write_all(&line);
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.append(&mut line);
                let much = kept.len().saturating_sub(MAX_KEPT);
                kept.drain(..much);
            }
        });
        Self { kept, ended }
    }

    /// The last of it, when the process has ended.
    pub(crate) fn end(self) -> String {
        // Nothing is sent: it ends when the thread has.
        let _ = self.ended.recv_timeout(PATIENCE);
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_it_is_kept() {
        let text = "a line\n".repeat(10_000) + "the end";
        let kept = Tail::follow(std::io::Cursor::new(text), std::io::sink()).end();
        assert!(kept.len() <= MAX_KEPT && kept.ends_with("a line\nthe end"), "{}", kept.len());
    }
}
