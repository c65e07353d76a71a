//! The start: the interpreter, the folders of modules, the import.
//!
//! Whatever goes wrong is a text for the operator, with Python's traceback where there is one.

use crate::errors::PythonError;
use crate::output::FileWrapper;
use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// An application that can be called.
pub(crate) struct Loaded {
    pub(crate) application: Py<PyAny>,
    /// What is the same in the dictionaries of all requests.
    pub(crate) template: Py<PyDict>,
    /// Whether Python has its lock (the GIL).
    pub(crate) has_lock: bool,
}

pub(crate) fn load(application: &str, paths: &[PathBuf], venv: Option<&Path>) -> Result<Loaded, String> {
    Python::initialize();
    Python::attach(|py| {
        if let Some(venv) = venv {
            enter_venv(py, venv)?;
        }
        let told = |error: PyErr| format!("`{application}` cannot be loaded: {}", PythonError::of(py, &error).whole());
        prepare(py, paths).map_err(told)?;
        let found = import(py, application).map_err(|error| {
            let is_missing = error.is_instance_of::<PyModuleNotFoundError>(py);
            let remedy = if is_missing { MISSING } else { "" };
            format!("{}{remedy}", told(error))
        })?;
        if !found.is_callable() {
            let kind = found.get_type().name().map_err(told)?;
            return Err(format!("`{application}` is no WSGI application: a {kind} cannot be called"));
        }
        let has_lock = has_lock(py);
        let version = py.version_info();
        let lock = if has_lock { "with its lock (GIL)" } else { "without a lock" };
        log::info!(target: "kirsch::wsgi", "`{application}` runs in Python {}.{}.{}, {lock}", version.major, version.minor, version.patch);
        Ok(Loaded { application: found.unbind(), template: template(py).map_err(told)?.unbind(), has_lock })
    })
}

/// What to do about a module that is not there.
const MISSING: &str = "\n  `Wsgi::path` names the folder of the application's modules, `Wsgi::venv` the virtual environment of its packages";

/// The later paths come behind the earlier ones, and all before those of Python.
fn prepare(py: Python<'_>, paths: &[PathBuf]) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    for folder in paths.iter().rev() {
        let folder = std::path::absolute(folder)?;
        path.call_method1("insert", (0, folder.into_os_string()))?;
    }
    say_lines(py)?;
    warn_of_fork(py)
}

fn import<'py>(py: Python<'py>, application: &str) -> PyResult<Bound<'py, PyAny>> {
    let (module, name) = application.split_once(':').unwrap_or((application, "application"));
    let (name, is_factory) = name.strip_suffix("()").map_or((name, false), |name| (name, true));
    let mut found = py.import(module)?.into_any();
    for name in name.split('.') {
        found = found.getattr(name)?;
    }
    if is_factory { found.call0() } else { Ok(found) }
}

fn template(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let template = PyDict::new(py);
    template.set_item("wsgi.version", (1, 0))?;
    template.set_item("wsgi.multithread", true)?;
    template.set_item("wsgi.multiprocess", false)?;
    template.set_item("wsgi.run_once", false)?;
    // The body ends by itself, whether it has a length or not.
    template.set_item("wsgi.input_terminated", true)?;
    template.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
    template.set_item("SERVER_SOFTWARE", "kirsch")?;
    Ok(template)
}

fn has_lock(py: Python<'_>) -> bool {
    let asked = py.import("sys").and_then(|sys| sys.getattr("_is_gil_enabled")?.call0()?.extract());
    asked.unwrap_or(true)
}

/// Puts the packages of a virtual environment before those of the interpreter.
fn enter_venv(py: Python<'_>, venv: &Path) -> Result<(), String> {
    let shown = venv.display();
    let text = std::fs::read_to_string(venv.join("pyvenv.cfg"))
        .map_err(|error| format!("{shown} is no virtual environment: its pyvenv.cfg cannot be read: {error}"))?;
    let of_venv = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(key, value)| matches!(key.trim(), "version" | "version_info").then(|| value.trim().to_owned()));
    let version = py.version_info();
    let own = format!("{}.{}", version.major, version.minor);
    let of_venv = of_venv.unwrap_or_default();
    if of_venv != own && !of_venv.starts_with(&format!("{own}.")) {
        return Err(format!(
            "{shown} is of Python {of_venv}, and this program is built with {own}: make the environment again with that, or build with \
             PYO3_PYTHON set to that Python"
        ));
    }
    let told = |error: PyErr| format!("{shown} cannot be used: {}", PythonError::of(py, &error).whole());
    let packages = venv.join("lib").join(format!("python{own}")).join("site-packages");
    let packages = std::path::absolute(packages).map_err(|error| error.to_string())?;
    let enter = || -> PyResult<()> {
        let path = py.import("sys")?.getattr("path")?;
        let before: Vec<String> = path.extract()?;
        py.import("site")?.call_method1("addsitedir", (packages.into_os_string(),))?;
        // What it has added stands at the end.
        let after: Vec<String> = path.extract()?;
        let (added, kept): (Vec<_>, Vec<_>) = after.into_iter().partition(|folder| !before.contains(folder));
        path.call_method0("clear")?;
        path.call_method1("extend", (added.into_iter().chain(kept).collect::<Vec<_>>(),))?;
        Ok(())
    };
    enter().map_err(told)
}

/// What the application prints is written line by line: nobody flushes it at the end, since the interpreter has none.
fn say_lines(py: Python<'_>) -> PyResult<()> {
    let stdout = py.import("sys")?.getattr("stdout")?;
    // A process without a standard output, and an object that the application has put there.
    if stdout.is_none() || !stdout.hasattr("reconfigure")? {
        return Ok(());
    }
    let arguments = PyDict::new(py);
    arguments.set_item("line_buffering", true)?;
    stdout.call_method("reconfigure", (), Some(&arguments)).map(|_| ())
}

/// A forked process has the locks of this one as they were, and none of its threads.
fn warn_of_fork(py: Python<'_>) -> PyResult<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    static WARNED: Once = Once::new();
    if ASKED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let warn = |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        WARNED.call_once(|| {
            log::warn!(
                target: "kirsch::wsgi",
                "the application forks this process, whose threads the child lacks: it may hang. Use `subprocess`, or the start method \
                 `spawn` of `multiprocessing`"
            );
        });
    };
    let arguments = PyDict::new(py);
    arguments.set_item("before", PyCFunction::new_closure(py, None, None, warn)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&arguments))?;
    Ok(())
}
