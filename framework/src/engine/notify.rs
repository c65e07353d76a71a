//! What systemd is told of the application's life: that it is ready, reloads, stops, and still turns.
//!
//! One datagram for each message, to the socket that the variable `NOTIFY_SOCKET` names (`sd_notify(3)`). Without the
//! variable nothing is told. Only programs tell it, where [`Running::wait`](super::Running::wait) or `App::serve` wait
//! for signals: the tests of a library may run below a service, and must not report its end.

use super::background::Background;
use crate::exchange::ServerView;
use crossbeam_channel::RecvTimeoutError;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The way to systemd, if there is one. Clones are the same way.
#[derive(Clone, Debug, Default)]
pub(super) struct Notifier(Option<Arc<UnixDatagram>>);

/// A manager that takes nothing for so long gets nothing.
const PATIENCE: Duration = Duration::from_secs(1);

impl Notifier {
    /// To the socket in the environment. Made before the process gives up its rights: it may not reach the socket then.
    pub(super) fn of_environment() -> Self {
        let Some(place) = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
            return Self::default();
        };
        match connect(&place) {
            Ok(socket) => Self(Some(Arc::new(socket))),
            Err(error) => {
                crate::line::record!(Warn, target: "kirsch::engine", "NOTIFY_SOCKET is {place:?}, which cannot be reached: {error}; systemd is told nothing");
                Self::default()
            }
        }
    }

    /// Tells the state, such as `READY=1`; several are separated by line ends.
    pub(super) fn tell(&self, state: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(state.as_bytes())
        {
            crate::line::record!(Warn, target: "kirsch::engine", "systemd does not take {state:?}: {error}");
        }
    }

    /// Tells that the application changes, and is not ready until it says so again.
    pub(super) fn tell_reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
    }

    /// Tells from now on that the server lives, as often as the manager wants it (`WatchdogSec=`). While every worker
    /// is stuck it is silent, and the manager restarts the service.
    pub(super) fn watch(&self, server: Weak<dyn ServerView>) -> io::Result<Option<Background>> {
        let Some(interval) = self.0.as_ref().and_then(|_| watchdog_interval(|name| std::env::var_os(name))) else {
            return Ok(None);
        };
        let notifier = self.clone();
        let mut thread = Background::new();
        thread.spawn("kirsch-watchdog", move |stopped| {
            while let Some(view) = server.upgrade() {
                if !view.is_stuck() {
                    notifier.tell("WATCHDOG=1");
                }
                drop(view);
                if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Some(thread))
    }
}

/// A path, or a name behind `@` that is no file.
fn connect(place: &OsStr) -> io::Result<UnixDatagram> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Half of the time after which the manager loses its patience, if it watches this process.
fn watchdog_interval(variable: impl Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
    let is_other = variable("WATCHDOG_PID").is_some() && number("WATCHDOG_PID") != Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| *micros > 0 && !is_other).map(|micros| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_reach_a_path_and_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("kirsch-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (place, manager) in [(path.into_os_string(), at_path), (format!("@{name}").into(), at_name)] {
            let notifier = Notifier(Some(Arc::new(connect(&place).unwrap())));
            notifier.tell("READY=1");
            notifier.tell_reloading();
            let next = || {
                let mut told = [0; 100];
                let length = manager.recv(&mut told).unwrap();
                String::from_utf8(told[..length].to_vec()).unwrap()
            };
            assert_eq!(next(), "READY=1");
            let reloading = next();
            let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0);
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let own = std::process::id().to_string();
        let table = [
            (&[][..], None),
            (&[("WATCHDOG_USEC", "4000000")][..], Some(Duration::from_secs(2))),
            (&[("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", own.as_str())][..], Some(Duration::from_secs(2))),
            (&[("WATCHDOG_USEC", "4000000"), ("WATCHDOG_PID", "1")][..], None),
            (&[("WATCHDOG_USEC", "0")][..], None),
            (&[("WATCHDOG_USEC", "soon")][..], None),
        ];
        for (variables, interval) in table {
            let variable = |wanted: &str| {
                let found = variables.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| OsString::from(*value))
            };
            assert_eq!(watchdog_interval(variable), interval, "{variables:?}");
        }
    }
}
