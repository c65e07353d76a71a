//! `start_response` and `write`: the head of the response, as the application says it.
//!
//! Everything that cannot be sent is an exception in the application's own call, which names the field.

use kirsch::{HeaderName, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use pyo3::exceptions::{PyAssertionError, PyMemoryError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

/// The head of a response.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// The length that the application has promised.
    pub(crate) length: Option<u64>,
}

#[derive(Default)]
struct OfResponse {
    head: Option<Head>,
    /// The head cannot be changed any more.
    is_out: bool,
    /// What `write` was given.
    written: Vec<u8>,
}

#[pyclass(frozen)]
#[derive(Default)]
pub(crate) struct StartResponse(Mutex<OfResponse>);

/// `write` keeps what it is given until the application returns.
const MAX_WRITTEN: usize = 16 * 1024 * 1024;

/// Fields that only a server can know (PEP 3333; RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

impl StartResponse {
    /// The head, which is out from now on, and what was written; `None` if the application has not said it.
    pub(crate) fn take(&self) -> Option<(Head, Vec<u8>)> {
        let response = &mut *self.0.lock();
        let head = response.head.take()?;
        response.is_out = true;
        Some((head, std::mem::take(&mut response.written)))
    }

    /// Whether there is content already, so that the head must go out.
    pub(crate) fn has_written(&self) -> bool {
        !self.0.lock().written.is_empty()
    }

    pub(crate) fn is_called(&self) -> bool {
        self.0.lock().head.is_some()
    }
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None, /))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (is_out, is_called) = {
            let response = slf.get().0.lock();
            (response.is_out || !response.written.is_empty(), response.head.is_some())
        };
        match exc_info.filter(|exc_info| !exc_info.is_none()) {
            // The error goes on, since nobody can tell the client any more.
            Some(exc_info) if is_out => return Err(PyErr::from_value(exc_info.get_item(1)?)),
            Some(_) => {}
            None if is_called || is_out => {
                return Err(PyAssertionError::new_err("start_response was called a second time, without exc_info"));
            }
            None => {}
        }
        let head = read_head(status, headers)?;
        slf.get().0.lock().head = Some(head);
        slf.getattr(intern!(py, "write"))
    }

    fn write(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let response = &mut *self.0.lock();
        if response.is_out {
            return Err(PyAssertionError::new_err("write() was called after the application had returned"));
        }
        let data = data.as_bytes();
        if response.written.len() + data.len() > MAX_WRITTEN {
            let most = MAX_WRITTEN / (1024 * 1024);
            return Err(PyMemoryError::new_err(format!(
                "write() takes {most} MiB at most: return an iterable instead"
            )));
        }
        response.written.extend_from_slice(data);
        Ok(())
    }
}

fn read_head(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Head> {
    let text = status.cast::<PyString>().map_err(|_| PyTypeError::new_err("the status must be a str, as '200 OK'"))?;
    let text = text.to_str()?;
    let code = text.get(..3).filter(|_| text.as_bytes().get(3).is_none_or(|byte| *byte == b' '));
    let status = code.and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok()).filter(|code| code.as_u16() >= 200);
    let status = status.ok_or_else(|| PyValueError::new_err(format!("{text:?} is no status: write '200 OK'")))?;
    let (mut fields, mut length) = (Vec::new(), None);
    for field in headers.try_iter()? {
        let field = field?;
        let pair = field.cast::<PyTuple>().ok().and_then(|field| field.extract::<(String, String)>().ok());
        let (name, value) =
            pair.ok_or_else(|| PyTypeError::new_err(format!("{field:?} is no field: write a tuple of two str")))?;
        let refused = |why: &str| PyValueError::new_err(format!("the field {name:?} cannot be sent: {why}"));
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("that is no name of a field"))?;
        if HOP_BY_HOP.contains(&known.as_str()) {
            return Err(refused("it is about the connection, which is the server's"));
        }
        let bytes = value.chars().map(u8::try_from).collect::<Result<Vec<_>, _>>();
        let bytes = bytes.map_err(|_| refused("its value has characters beyond Latin-1"))?;
        let value = HeaderValue::from_bytes(&bytes).map_err(|_| refused("its value has control characters"))?;
        if known == header::CONTENT_LENGTH {
            let said = value.to_str().ok().and_then(|value| value.trim().parse().ok());
            let said = said.ok_or_else(|| refused("it is no length"))?;
            if length.is_some_and(|length| length != said) {
                return Err(refused("there are two lengths"));
            }
            length = Some(said);
        } else {
            fields.push((known, value));
        }
    }
    Ok(Head { status, fields, length })
}
