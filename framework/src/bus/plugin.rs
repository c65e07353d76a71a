//! What happens with the life of the application: steps, and plugins that bundle them.

use super::{Deadline, Engine};
use crate::exchange::{Error, StatusRow};
use std::sync::Arc;

/// A moment in the life of the application, for `App::on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The start, lower priorities first. The address is bound at 70, and requests are answered from 75 on. An error
    /// stops the start.
    Start,
    /// The stop, higher priorities first. The server is drained at 75. An error is logged, and the others run.
    Stop,
    /// A worker begins, on its thread, before its first request: CherryPy's `start_thread` (`acquire_thread`). An error
    /// is logged, and the worker starts.
    WorkerStart,
    /// A worker ends, on its thread, after its last request: CherryPy's `stop_thread` (`release_thread`).
    WorkerStop,
    /// SIGHUP, or `Running::graceful`: log files are opened again, files are read again. An error is logged.
    Graceful,
}

/// Something that lives with the application: it starts and stops with it. CherryPy's `SimplePlugin`.
///
/// All methods but the name have a default that does nothing. `App::plugin` adds one. Plugins need nothing but public
/// items, so that others can write and publish them.
///
/// ```
/// use kirsch::engine::{Deadline, Engine, Plugin};
/// use kirsch::{lifecycle::StatusRow, prelude::*};
/// use std::sync::{Arc, Mutex};
///
/// /// Connections to a database, opened at the start and closed at the stop.
/// #[derive(Default)]
/// struct Database(Mutex<Vec<String>>);
///
/// impl Plugin for Database {
///     fn name(&self) -> &str { "database" }
///
///     fn start(&self, _: &Engine) -> kirsch::Result {
///         self.0.lock().unwrap().push("a connection".to_owned());
///         Ok(())
///     }
///
///     fn stop(&self, _: Deadline) -> kirsch::Result {
///         self.0.lock().unwrap().clear();
///         Ok(())
///     }
///
///     fn status(&self) -> Vec<StatusRow> {
///         vec![StatusRow::new("connections", self.0.lock().unwrap().len())]
///     }
/// }
///
/// let database = Arc::new(Database::default());
/// let running = App::new(Tree::new()).plugin(database.clone()).start("127.0.0.1:0")?;
/// assert_eq!(running.plugins()[0].rows[0].value, 1);
/// running.stop(std::time::Duration::from_secs(10));
/// assert!(database.0.lock().unwrap().is_empty());
/// # Ok::<_, kirsch::Error>(())
/// ```
///
/// A panic in any of the methods counts as an error.
pub trait Plugin: Send + Sync + 'static {
    /// The name for log and status page.
    fn name(&self) -> &str;

    /// The place among the steps of start and stop; see [`Step`]. Default 50: started before the address is bound, and
    /// stopped after the last request has ended.
    fn priority(&self) -> u8 {
        50
    }

    /// The application starts.
    ///
    /// # Errors
    /// Stops the start. What has started already is stopped again, the latest first; this plugin is not.
    fn start(&self, _engine: &Engine) -> Result<(), Error> {
        Ok(())
    }

    /// The application stops. All that runs should have ended at the deadline; nobody waits for it longer.
    ///
    /// # Errors
    /// Is logged.
    fn stop(&self, _deadline: Deadline) -> Result<(), Error> {
        Ok(())
    }

    /// A worker begins, on its thread.
    ///
    /// # Errors
    /// Is logged; the worker starts.
    fn worker_start(&self, _engine: &Engine) -> Result<(), Error> {
        Ok(())
    }

    /// A worker ends, on its thread. A worker whose handler never returns has no end.
    ///
    /// # Errors
    /// Is logged.
    fn worker_stop(&self, _engine: &Engine) -> Result<(), Error> {
        Ok(())
    }

    /// SIGHUP has come, or `Running::graceful` was called.
    ///
    /// # Errors
    /// Is logged.
    fn graceful(&self, _engine: &Engine) -> Result<(), Error> {
        Ok(())
    }

    /// What the status page shows of the plugin, as for [`StatusSource`](crate::lifecycle::StatusSource): it may be
    /// asked while the application hangs, so it must never wait.
    fn status(&self) -> Vec<StatusRow> {
        Vec::new()
    }
}

/// A plugin that other code uses too.
impl<P: Plugin + ?Sized> Plugin for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn priority(&self) -> u8 {
        (**self).priority()
    }

    fn start(&self, engine: &Engine) -> Result<(), Error> {
        (**self).start(engine)
    }

    fn stop(&self, deadline: Deadline) -> Result<(), Error> {
        (**self).stop(deadline)
    }

    fn worker_start(&self, engine: &Engine) -> Result<(), Error> {
        (**self).worker_start(engine)
    }

    fn worker_stop(&self, engine: &Engine) -> Result<(), Error> {
        (**self).worker_stop(engine)
    }

    fn graceful(&self, engine: &Engine) -> Result<(), Error> {
        (**self).graceful(engine)
    }

    fn status(&self) -> Vec<StatusRow> {
        (**self).status()
    }
}
