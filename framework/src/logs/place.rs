//! Where the lines of a log go.

use super::log_file::LogFile;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::time::SystemTime;

/// A file, or anything else that takes bytes.
pub(super) enum Place {
    File(LogFile),
    Stream(Box<dyn Write + Send>),
}

impl Place {
    /// Writes whole lines.
    ///
    /// # Errors
    /// The error, with the number of bytes that were written before it.
    pub(super) fn write(&mut self, lines: &[u8], now: SystemTime) -> Result<(), (usize, io::Error)> {
        match self {
            Self::File(file) => file.write(lines, now),
            Self::Stream(stream) => {
                let mut written = 0;
                while written < lines.len() {
                    match stream.write(&lines[written..]) {
                        Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                        Ok(count) => written += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err((written, error)),
                    }
                }
                stream.flush().map_err(|error| (written, error))
            }
        }
    }

    /// Opens a file again; a stream stays what it is.
    ///
    /// # Errors
    /// As the operating system says; then the lines go where they went before.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.reopen(),
            Self::Stream(_) => Ok(()),
        }
    }

    /// Why a file could not be put aside, once for each attempt.
    pub(super) fn take_refusal(&mut self) -> Option<io::Error> {
        match self {
            Self::File(file) => file.take_refusal(),
            Self::Stream(_) => None,
        }
    }
}

/// Writes to standard error if it takes the text at once: there is no other place to tell about a log that fails, and
/// nothing may wait for that one either.
pub(super) fn say_on_stderr(text: &str) {
    let stderr = io::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    let is_ready = poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(1);
    if is_ready && ready[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(&stderr, &text.as_bytes()[..text.len().min(rustix::pipe::PIPE_BUF)]);
    }
}
