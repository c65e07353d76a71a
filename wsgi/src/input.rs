//! `wsgi.input`: the body of the request, read from the client while the application reads it.
//!
//! One reader in Rust knows what lines are. The lock is given away around each call, and the place in the lane around
//! each look at the client.

use crate::lane::Stay;
use kirsch::Body;
use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::io::{self, Read};
use std::sync::Arc;

/// Reads of any size, and lines, from a reader of pieces.
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of it is used up.
    used: usize,
}

/// How much is read at a time.
const PIECE: usize = 16 * 1024;

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), used: 0 }
    }

    /// Up to `most` bytes, fewer only at the end; `None` is all.
    fn read(&mut self, most: Option<usize>) -> io::Result<Vec<u8>> {
        let most = most.unwrap_or(usize::MAX);
        let mut content = Vec::new();
        while content.len() < most && (self.used < self.buffer.len() || self.fill()?) {
            self.take(&mut content, most, |ready| ready.len());
        }
        Ok(content)
    }

    /// Up to the next line feed, with it, and up to `most` bytes.
    fn line(&mut self, most: Option<usize>) -> io::Result<Vec<u8>> {
        let most = most.unwrap_or(usize::MAX);
        let mut line = Vec::new();
        while line.len() < most && line.last() != Some(&b'\n') && (self.used < self.buffer.len() || self.fill()?) {
            let end = |ready: &[u8]| ready.iter().position(|byte| *byte == b'\n').map_or(ready.len(), |end| end + 1);
            self.take(&mut line, most, end);
        }
        Ok(line)
    }

    /// Moves what is there, as far as it is wanted.
    fn take(&mut self, into: &mut Vec<u8>, most: usize, wanted: impl Fn(&[u8]) -> usize) {
        let ready = &self.buffer[self.used..];
        let length = wanted(ready).min(most - into.len());
        into.extend_from_slice(&ready[..length]);
        self.used += length;
    }

    /// Reads a piece; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.resize(PIECE, 0);
        self.used = 0;
        let read = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|length| length > 0)
    }
}

/// The client, whom a request waits for without a place in the lane.
struct Client {
    /// `None` where there is nothing to read any more.
    body: Option<Body>,
    stay: Stay,
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(body) = &mut self.body else { return Ok(0) };
        let read = self.stay.outside(|| body.read(buffer));
        if matches!(read, Ok(0)) {
            self.body = None;
        }
        read
    }
}

/// The body, and why it could not be read.
struct OfBody {
    lines: Lines<Client>,
    failure: Option<io::Error>,
}

/// The body of one request.
#[derive(Clone)]
pub(crate) struct Source(Arc<Mutex<OfBody>>);

impl Source {
    pub(crate) fn new(body: Option<Body>, stay: Stay) -> Self {
        Self(Arc::new(Mutex::new(OfBody { lines: Lines::new(Client { body, stay }), failure: None })))
    }

    /// Why the body could not be read, if it could not: the client has done something, and hears of it.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.0.lock().failure.take()
    }
}

#[pyclass(frozen)]
pub(crate) struct Input(Source);

impl Input {
    pub(crate) fn new(source: Source) -> Self {
        Self(source)
    }

    fn ask<'py>(
        &self,
        py: Python<'py>,
        ask: impl FnOnce(&mut Lines<Client>) -> io::Result<Vec<u8>> + Send,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let read = py.detach(|| {
            // Locked without Python's lock: another thread of the application may be reading.
            let body = &mut *self.0.0.lock();
            ask(&mut body.lines).map_err(|error| {
                let text = error.to_string();
                body.failure.get_or_insert(error);
                text
            })
        });
        read.map(|content| PyBytes::new(py, &content)).map_err(PyOSError::new_err)
    }
}

/// Python's sizes: `None` and negative ones are "all".
fn most(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.ask(py, |lines| lines.read(most(size)))
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.ask(py, |lines| lines.line(most(size)))
    }

    /// Lines, until they are `hint` bytes or more together.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let enough = most(hint).filter(|hint| *hint > 0);
        let lines = PyList::empty(py);
        let mut length = 0;
        while enough.is_none_or(|enough| length < enough) {
            let line = self.ask(py, |lines| lines.line(None))?;
            if line.as_bytes().is_empty() {
                break;
            }
            length += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.ask(py, |lines| lines.line(None))?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyo3::types::PyBytesMethods;

    /// A client whose bytes come in pieces of chance.
    struct Pieces {
        content: Vec<u8>,
        chance: u64,
    }

    fn next(chance: &mut u64) -> usize {
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        usize::try_from(*chance % 1000).expect("below a thousand")
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = 1 + next(&mut self.chance) % 9;
            let length = most.min(buffer.len()).min(self.content.len());
            buffer[..length].copy_from_slice(&self.content[..length]);
            self.content.drain(..length);
            Ok(length)
        }
    }

    #[test]
    fn reads_and_lines_are_those_of_io_bytes_io_however_the_body_comes() {
        Python::initialize();
        for seed in 1..200_u64 {
            let mut chance = seed * 0x9E37_79B9;
            let content: Vec<u8> =
                (0..next(&mut chance)).map(|_| if next(&mut chance) < 100 { b'\n' } else { b'a' }).collect();
            let mut lines = Lines::new(Pieces { content: content.clone(), chance });
            Python::attach(|py| {
                let io = py.import("io").expect("a module").call_method1("BytesIO", (PyBytes::new(py, &content),));
                let io = io.expect("a reader");
                for _ in 0..40 {
                    let size = isize::try_from(next(&mut chance) % 12).expect("a small number") - 1;
                    let (name, own) = match next(&mut chance) % 2 {
                        0 => ("readline", lines.line(most(Some(size)))),
                        _ if size < 0 && next(&mut chance) > 250 => continue,
                        _ => ("read", lines.read(most(Some(size)))),
                    };
                    let theirs = io.call_method1(name, (size,)).expect("an answer");
                    let theirs = theirs.cast::<PyBytes>().expect("bytes").as_bytes();
                    assert_eq!(own.expect("an answer"), theirs, "{name}({size}), seed {seed}");
                }
            });
        }
    }
}
