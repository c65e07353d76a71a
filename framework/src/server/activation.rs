//! The sockets that systemd passes on to a program that it starts (`LISTEN_FDS`, `sd_listen_fds(3)`).
//!
//! They are taken once in the life of a process. The variables are removed from the environment, and no child gets the
//! descriptors.

use super::listener::NamedSocket;
use listenfd::ListenFd;
use std::env;
use std::io;

/// More descriptors are a mistake.
const MAX_SOCKETS: usize = 256;

/// The sockets with the names that their units give them; none if systemd has passed none on to this process.
///
/// # Errors
/// When one is not a listening stream socket: it is named.
pub(crate) fn passed_on() -> io::Result<Vec<NamedSocket>> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    if number("LISTEN_PID") != usize::try_from(std::process::id()).ok() {
        return Ok(Vec::new());
    }
    if number("LISTEN_FDS").is_some_and(|count| count > MAX_SOCKETS) {
        return Err(io::Error::other(format!("LISTEN_FDS is more than {MAX_SOCKETS}: is it meant for this program?")));
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed_on = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed_on.len() {
        // Without a name systemd calls it so.
        let name = format!("fd:{}", names.next().filter(|name| !name.is_empty()).unwrap_or("unknown"));
        let socket = match passed_on.take_tcp_listener(index) {
            Ok(listener) => listener.map(Into::into),
            Err(_) => passed_on
                .take_unix_listener(index)
                .map_err(|_| unusable(&name, "is no stream socket (ListenStream=)"))?
                .map(Into::into),
        };
        let Some(socket) = socket else { continue };
        if !rustix::net::sockopt::socket_acceptconn(&socket)? {
            return Err(unusable(&name, "is a connection: its unit must have Accept=no"));
        }
        sockets.push(NamedSocket { name, socket });
    }
    Ok(sockets)
}

fn unusable(name: &str, problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the socket {name} that systemd has passed on {problem}"))
}
