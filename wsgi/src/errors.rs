//! Exceptions as errors of the program, and `wsgi.errors`, whose lines go to the log.

use kirsch::Error;
use kirsch::exchange::{ErrorKind, RequestId};
use parking_lot::Mutex;
use pyo3::prelude::*;
use std::fmt;

/// An exception: a line that says what it is, and as its source the traceback. So log, ticket and debug page have both.
#[derive(Debug)]
pub(crate) struct PythonError {
    summary: String,
    traceback: Traceback,
}

#[derive(Debug)]
struct Traceback(String);

impl PythonError {
    pub(crate) fn of(py: Python<'_>, error: &PyErr) -> Self {
        let formatted = || -> PyResult<String> {
            let lines = py
                .import("traceback")?
                .call_method1("format_exception", (error.get_type(py), error.value(py), error.traceback(py)))?;
            Ok(lines.extract::<Vec<String>>()?.concat())
        };
        // The text of an exception is code of the application, which may fail as well.
        let traceback = formatted().unwrap_or_default();
        let summary = traceback.lines().rfind(|line| !line.starts_with(' ') && !line.is_empty()).map(str::to_owned);
        let name = || error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
        // Lines that begin with white space stay lines in the log.
        let indented = traceback.trim_end().lines().collect::<Vec<_>>().join("\n  ");
        Self { summary: summary.unwrap_or_else(name), traceback: Traceback(indented) }
    }

    /// Both in one text.
    pub(crate) fn whole(&self) -> String {
        format!("{}\n  {}", self.summary, self.traceback)
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for PythonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.traceback)
    }
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Traceback {}

/// The failure of the program that an exception is.
impl From<PythonError> for ErrorKind {
    fn from(error: PythonError) -> Self {
        Self::Unexpected(Box::new(error))
    }
}

/// A failure of this request.
pub(crate) fn failure(py: Python<'_>, error: &PyErr) -> Error {
    ErrorKind::from(PythonError::of(py, error)).into()
}

/// Tells the log of an exception that no response can tell of any more.
pub(crate) fn log_late(py: Python<'_>, request: RequestId, what: &str, error: &PyErr) {
    log::error!(target: "kirsch::wsgi", "request {request}: {what}: {}", PythonError::of(py, error).whole());
}

/// `wsgi.errors`: a line at a time, to the target `kirsch::wsgi`.
#[pyclass(frozen)]
pub(crate) struct ErrorsLog {
    request: RequestId,
    /// The line that has not ended.
    line: Mutex<String>,
}

/// The longest line; more is the next line.
const MAX_LINE: usize = 8 * 1024;

impl ErrorsLog {
    pub(crate) fn new(request: RequestId) -> Self {
        Self { request, line: Mutex::default() }
    }

    fn add(&self, text: &str) {
        for piece in text.split_inclusive('\n') {
            let line = {
                let mut line = self.line.lock();
                line.push_str(piece);
                if !piece.ends_with('\n') && line.len() < MAX_LINE {
                    return;
                }
                std::mem::take(&mut *line)
            };
            self.tell(&line);
        }
    }

    fn tell(&self, line: &str) {
        let line = line.trim_end();
        if !line.is_empty() {
            log::error!(target: "kirsch::wsgi", "request {}: {line}", self.request);
        }
    }
}

#[pymethods]
impl ErrorsLog {
    fn write(&self, text: &str) -> usize {
        self.add(text);
        text.chars().count()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.add(line?.extract()?);
        }
        Ok(())
    }

    fn flush(&self) {
        let line = std::mem::take(&mut *self.line.lock());
        self.tell(&line);
    }
}

impl Drop for ErrorsLog {
    fn drop(&mut self) {
        let line = std::mem::take(self.line.get_mut());
        self.tell(&line);
    }
}
