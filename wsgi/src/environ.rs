//! The dictionary of a request: what PEP 3333 wants in it, of what Kirsch knows.
//!
//! Text is what PEP 3333 calls a native string: each byte is one character (Latin-1). Facts about the client and the
//! origin are right behind trusted proxies, since they are asked of the request.

use crate::errors::ErrorsLog;
use crate::input::Input;
use http::Version;
use kirsch::exchange::{Login, Values};
use kirsch::{ClientWatch, Request, Session};
use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The way of the request's path to the application.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// `SCRIPT_NAME`.
    script: Vec<u8>,
    /// `PATH_INFO`.
    info: Vec<u8>,
}

impl Paths {
    /// The first `above` segments of a path lead to the application. A proxy has put the program below `prefix`.
    ///
    /// Slashes in a row before the first segment of either part are one: a link that is made of them must not begin
    /// with two, which would name another host.
    pub(crate) fn of(prefix: &str, path: &str, above: usize) -> Self {
        let mut rest = path;
        let mut script = prefix.to_owned();
        for _ in 0..above {
            let segment = rest.trim_start_matches('/');
            let end = segment.find('/').unwrap_or(segment.len());
            script.push('/');
            script.push_str(&segment[..end]);
            rest = &segment[end..];
        }
        let below = rest.trim_start_matches('/');
        let info = &rest[rest.len() - below.len() - usize::from(below.len() < rest.len())..];
        Self { script: percent_decode_str(&script).collect(), info: percent_decode_str(info).collect() }
    }
}

/// All facts of a request that do not need Python.
pub(crate) struct Facts<'r> {
    pub(crate) request: &'r Request,
    pub(crate) values: &'r Values,
    pub(crate) paths: Paths,
}

/// The dictionary of a request.
pub(crate) fn environ<'py>(
    py: Python<'py>,
    template: &Bound<'py, PyDict>,
    facts: &Facts<'_>,
    input: Input,
    errors: ErrorsLog,
) -> PyResult<Bound<'py, PyDict>> {
    let Facts { request, values, paths } = facts;
    let environ = template.copy()?;
    let origin = request.origin();
    environ.set_item(intern!(py, "REQUEST_METHOD"), request.method().as_str())?;
    environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, &paths.script))?;
    environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &paths.info))?;
    environ.set_item(intern!(py, "QUERY_STRING"), request.query().unwrap_or_default())?;
    environ.set_item(intern!(py, "REQUEST_URI"), request.target())?;
    environ.set_item(intern!(py, "SERVER_NAME"), origin.host())?;
    environ.set_item(intern!(py, "SERVER_PORT"), origin.port().to_string())?;
    environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol(py, request.version()))?;
    environ.set_item(intern!(py, "REMOTE_ADDR"), request.remote().to_string())?;
    environ.set_item(intern!(py, "wsgi.url_scheme"), origin.scheme())?;
    environ.set_item(intern!(py, "wsgi.input"), input)?;
    environ.set_item(intern!(py, "wsgi.errors"), errors)?;
    environ.set_item(intern!(py, "kirsch.request_id"), request.id().to_string())?;
    environ.set_item(intern!(py, "kirsch.client_gone"), ClientGone(request.client_watch()))?;
    if let Some(login) = values.get::<Login>() {
        environ.set_item(intern!(py, "REMOTE_USER"), login.name())?;
    }
    if let Some(session) = values.get::<Session>() {
        environ.set_item(intern!(py, "kirsch.session"), session.id().to_string())?;
    }
    for (name, value) in request.headers() {
        add_field(py, &environ, name, value)?;
    }
    Ok(environ)
}

fn protocol(py: Python<'_>, version: Version) -> &Bound<'_, PyString> {
    match version {
        Version::HTTP_10 => intern!(py, "HTTP/1.0"),
        Version::HTTP_2 => intern!(py, "HTTP/2.0"),
        _ => intern!(py, "HTTP/1.1"),
    }
}

fn add_field(py: Python<'_>, environ: &Bound<'_, PyDict>, name: &str, value: &[u8]) -> PyResult<()> {
    let mut key = String::with_capacity("HTTP_".len() + name.len());
    key.push_str("HTTP_");
    key.extend(name.chars().map(|sign| if sign == '-' { '_' } else { sign.to_ascii_uppercase() }));
    let (key, between) = match &*key {
        // httpoxy: programs take HTTP_PROXY for a setting. Of the framing nothing is left in the body.
        "HTTP_PROXY" | "HTTP_TRANSFER_ENCODING" => return Ok(()),
        // These are single, and the server has seen to it where it matters.
        "HTTP_CONTENT_TYPE" | "HTTP_CONTENT_LENGTH" => (&key["HTTP_".len()..], None),
        "HTTP_COOKIE" => (&*key, Some("; ")),
        _ => (&*key, Some(", ")),
    };
    let (key, value) = (PyString::intern(py, key), latin1(py, value));
    match (environ.get_item(&key)?, between) {
        (None, _) => environ.set_item(key, value),
        (Some(before), Some(between)) => environ.set_item(key, format!("{before}{between}{value}")),
        (Some(_), None) => Ok(()),
    }
}

/// A text with one character for each byte.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii()) {
        Some(text) => PyString::new(py, text),
        None => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// `kirsch.client_gone()`: whether the client has left.
#[pyclass(frozen)]
struct ClientGone(ClientWatch);

#[pymethods]
impl ClientGone {
    fn __call__(&self) -> bool {
        self.0.has_gone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_the_application_and_decoded_once() {
        let table = [
            ("", "/", 0, "", "/"),
            ("", "/a/b", 0, "", "/a/b"),
            ("", "/old", 1, "/old", ""),
            ("", "/old/", 1, "/old", "/"),
            ("", "/old/a/b/", 1, "/old", "/a/b/"),
            ("/front", "/old/a", 1, "/front/old", "/a"),
            ("", "/o/l/d", 2, "/o/l", "/d"),
            ("", "//old//evil.example/", 1, "/old", "/evil.example/"),
            ("", "/old/a//b", 1, "/old", "/a//b"),
            ("", "/old/%C3%A4%2Fb%2525", 1, "/old", "/\u{e4}/b%25"),
        ];
        for (prefix, path, above, script, info) in table {
            let paths = Paths { script: script.into(), info: info.into() };
            assert_eq!(Paths::of(prefix, path, above), paths, "{path}");
        }
    }
}
