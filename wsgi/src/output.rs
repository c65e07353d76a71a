//! The iterable that an application returns: its items, its `close`, and files.
//!
//! `close` is called once and on the iterable, whatever happens: at the end, at an error, when the client has gone, and
//! where no content is sent. Whoever drops an iterable may be the server's thread that must never wait, so a thread of
//! its own attaches to close it.

use crate::errors::{failure, log_late};
use crate::lane::Stay;
use kirsch::exchange::RequestId;
use kirsch::{Error, FileBody};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{io, thread};

/// What an application has returned, until it is closed.
pub(crate) struct Output {
    /// `None` when it is closed.
    iterable: Option<Py<PyAny>>,
    iterator: Option<Py<PyIterator>>,
    request: RequestId,
}

impl Output {
    pub(crate) fn new(iterable: Bound<'_, PyAny>, request: RequestId) -> Self {
        Self { iterable: Some(iterable.unbind()), iterator: None, request }
    }

    pub(crate) fn iterable<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.iterable.as_ref().map(|iterable| iterable.bind(py))
    }

    /// The next item that is not empty.
    pub(crate) fn next(&mut self, py: Python<'_>) -> PyResult<Option<Vec<u8>>> {
        loop {
            let Some(iterable) = &self.iterable else { return Ok(None) };
            let iterator = match &self.iterator {
                Some(iterator) => iterator,
                None => self.iterator.insert(iterable.bind(py).try_iter()?.unbind()),
            };
            let Some(item) = iterator.bind(py).clone().next() else { return Ok(None) };
            let item = item?;
            let content = bytes_of(&item)?;
            if !content.is_empty() {
                return Ok(Some(content.to_vec()));
            }
        }
    }

    /// Closes it. An error is told to the log only: the response is complete.
    pub(crate) fn close(&mut self, py: Python<'_>) {
        self.iterator = None;
        let Some(iterable) = self.iterable.take() else { return };
        if let Err(error) = close(iterable.bind(py)) {
            log_late(py, self.request, "close() of what the application has returned", &error);
        }
    }
}

pub(crate) fn bytes_of<'a>(item: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => {
            let kind = item.get_type().name()?;
            Err(PyTypeError::new_err(format!("the items of a response are bytes, and this one is {kind}")))
        }
    }
}

fn close(iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    match iterable.getattr_opt(intern!(iterable.py(), "close"))? {
        Some(close) => close.call0().map(|_| ()),
        None => Ok(()),
    }
}

/// Nobody waits for it here: the thread may be one that must not wait.
impl Drop for Output {
    fn drop(&mut self) {
        if self.iterable.is_some() || self.iterator.is_some() {
            let (iterable, iterator) = (self.iterable.take(), self.iterator.take());
            leave_to_closer(Self { iterable, iterator, request: self.request });
        }
    }
}

/// The thread that closes, and how much it still has to do.
struct Closer {
    work: Sender<Output>,
    left: Arc<AtomicUsize>,
}

static CLOSER: OnceLock<Option<Closer>> = OnceLock::new();

fn leave_to_closer(output: Output) {
    let closer = CLOSER.get_or_init(|| {
        let (work, to_do) = channel::<Output>();
        let left = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&left);
        let run = move || {
            for mut output in to_do {
                Python::attach(|py| output.close(py));
                done.fetch_sub(1, Ordering::Release);
            }
        };
        let begun = thread::Builder::new().name("kirsch-wsgi-closer".to_owned()).spawn(run);
        begun.ok().map(|_| Closer { work, left })
    });
    let left_over = match closer {
        Some(closer) => {
            closer.left.fetch_add(1, Ordering::Relaxed);
            closer.work.send(output).err().map(|unsent| unsent.0)
        }
        None => Some(output),
    };
    if let Some(mut output) = left_over {
        Python::attach(|py| output.close(py));
    }
}

/// The priority of the step of the stop behind the server's.
pub(crate) const AFTER_THE_SERVER: u8 = 60;

/// Waits until everything is closed, for a while.
pub(crate) fn finish_closing() {
    const LONGEST: Duration = Duration::from_secs(2);
    let end = Instant::now() + LONGEST;
    let Some(Some(closer)) = CLOSER.get() else { return };
    while closer.left.load(Ordering::Acquire) > 0 {
        if Instant::now() > end {
            log::warn!(target: "kirsch::wsgi", "not everything that the application has returned was closed in {LONGEST:?}");
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The items, one by one, as the content of a response.
pub(crate) struct Items {
    /// Made before the head went out.
    pub(crate) first: Option<Vec<u8>>,
    pub(crate) output: Output,
    pub(crate) stay: Stay,
}

/// How long an item waits for a place in the lane before other connections have their turn.
const TURN: Duration = Duration::from_millis(1);

impl Iterator for Items {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        self.output.iterable.as_ref()?;
        // Nothing is sent for an empty item, and the worker goes on to others after a few of them.
        if !self.stay.enter(TURN) {
            return Some(Ok(Vec::new()));
        }
        let begun = self.stay.begin();
        let item = Python::attach(|py| {
            begun.attached();
            match self.output.next(py) {
                Ok(Some(content)) => Some(Ok(content)),
                Ok(None) => {
                    self.output.close(py);
                    None
                }
                Err(error) => {
                    log_late(py, self.stay.claim().request(), "the response breaks off", &error);
                    let error = failure(py, &error);
                    self.output.close(py);
                    Some(Err(error))
                }
            }
        });
        self.stay.leave();
        item
    }
}

/// `wsgi.file_wrapper`: a file, which is sent by the kernel if it is a real one.
#[pyclass(frozen)]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, block_size=8192, /))]
    fn new(filelike: Py<PyAny>, block_size: usize) -> Self {
        Self { file: filelike, block: block_size }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.file.bind(py).call_method1(intern!(py, "read"), (self.block,))?;
        Ok((!bytes_of(&block)?.is_empty()).then_some(block))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        close(self.file.bind(py))
    }
}

impl FileWrapper {
    /// The rest of the file from its position on, if it is a regular one of the kernel.
    pub(crate) fn body(&self, py: Python<'_>) -> Option<FileBody> {
        let file = self.file.bind(py);
        let number: u32 = file.call_method0(intern!(py, "fileno")).ok()?.extract().ok()?;
        let position: u64 = file.call_method0(intern!(py, "tell")).ok()?.extract().ok()?;
        let file = again(number).ok()?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        Some(FileBody::range(Arc::new(file), position..length.max(position)))
    }
}

/// The same file, open once more: the application closes its own.
fn again(descriptor: u32) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{descriptor}"))
}
