//! Whether a client is still there: asked by handlers and streams while they run, answered by the kernel.
//!
//! Whoever asks has a token, not the connection. The socket is looked at under a pin, which keeps the owner from closing it, and the
//! generation is compared under the same pin, so an answer is never about a later tenant of the slot. A connection that nobody owns
//! waits in the poller, where the server itself hears of the client's end.

use super::slab::Token;
use super::workspace::Shared;
use crate::exchange::Connections;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::sync::{Arc, Weak};

impl Shared {
    pub(super) fn watched(self: &Arc<Self>) -> Weak<dyn Connections> {
        let watched: Weak<Self> = Arc::downgrade(self);
        watched
    }
}

impl Connections for Shared {
    fn is_abandoned(&self, connection: u64) -> bool {
        let token = Token::from_bits(connection);
        let slab = &self.scheduler.slab;
        let answer = slab.with_socket(token.index(), |socket| slab.is_current(token) && !has_hung_up(socket));
        !answer.unwrap_or_else(|| slab.is_current(token))
    }
}

/// The connection is reset, or the peer has ended its side and nothing before that end is left to read.
fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    while let Err(Errno::INTR) = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {}
    let seen = look[0].revents();
    if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
        return true;
    }
    if !seen.contains(PollFlags::RDHUP) {
        return false;
    }
    let looked = loop {
        match recv(socket, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            looked => break looked,
        }
    };
    match looked {
        Ok((length, _)) => length == 0,
        Err(error) => error != Errno::AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        (listener.accept().expect("a connection").0, client)
    }

    #[test]
    fn a_silent_client_is_there_and_a_closed_one_is_not() {
        let (server, client) = pair();
        assert!(!has_hung_up(server.as_fd()));
        drop(client);
        assert!(has_hung_up(server.as_fd()));
    }

    #[test]
    fn a_client_that_ended_its_side_is_gone_when_nothing_is_left_to_read() {
        let (server, mut client) = pair();
        client.write_all(b"GET").expect("room");
        client.shutdown(Shutdown::Write).expect("open");
        assert!(!has_hung_up(server.as_fd()));
        std::io::Read::read_exact(&mut &server, &mut [0; 3]).expect("three bytes");
        assert!(has_hung_up(server.as_fd()));
    }

    #[test]
    fn a_reset_is_the_end_even_with_bytes_left_to_read() {
        let (mut server, mut client) = pair();
        server.write_all(b"unread").expect("room");
        client.write_all(b"unread").expect("room");
        // Closing with unread input resets the connection.
        client.peek(&mut [0]).expect("it has arrived");
        drop(client);
        assert!(has_hung_up(server.as_fd()));
    }
}
