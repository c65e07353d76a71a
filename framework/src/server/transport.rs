//! The one seam between a connection and its client: all that is read, written and asked of a socket is asked here.
//!
//! Behind it is a socket, or a pipe in memory for a client in the same process (`transport/pipe.rs`); with TLS, a
//! session on either (`transport/tls.rs`). The code above knows bytes and readiness, no descriptor and no record. A
//! call never waits, except [`Transport::wait`]. Interrupted calls are made again here. A connection that fails is an
//! everyday end: the code above the seam does not ask why.
//!
//! `scratch` is a buffer that the calling thread lends to encryption; the others leave it alone.

#[cfg(feature = "tls")]
mod client_hello;
mod pipe;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
pub(super) use client_hello::FirstLook;
pub(super) use pipe::{End, Pipe};
#[cfg(feature = "tls")]
pub(super) use tls::Tls;

#[cfg(feature = "http2")]
use super::http2::StreamSide;
use crate::exchange::FileBody;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown, sockopt};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The way to one client.
pub(super) enum Transport {
    Socket(OwnedFd),
    Pipe(Arc<Pipe>),
    /// A part of a connection of HTTP/2.
    #[cfg(feature = "http2")]
    Stream(StreamSide),
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

/// What comes behind bytes that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// More of the same thing, with the next call.
    AtOnce,
    Perhaps,
    /// The [end](Transport::end). With encryption the word for it leaves together with the bytes.
    Nothing,
}

/// The result of a read.
#[derive(Clone, Copy)]
pub(super) enum Received {
    Bytes {
        length: usize,
        /// Nothing more is there, unless an end of input is queued behind it.
        is_drained: bool,
    },
    /// Nothing now.
    Nothing,
    /// Nothing now; the beginning of something has come.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "plain bytes have no parts"))]
    Part,
    /// Nothing any more.
    End,
    /// Nothing any more, and what came is whole: said by a protocol that knows it.
    #[cfg_attr(not(feature = "http2"), expect(dead_code, reason = "bytes of HTTP/1.1 tell by themselves"))]
    Whole,
}

/// The result of a write.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) length: usize,
    /// There is no room for more.
    pub(super) is_full: bool,
}

/// The client cannot be reached any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Why a file is not sent.
pub(super) enum FileFailure {
    /// The file has ended before its time.
    Shorter,
    /// Not every file system can do it, and the file itself may fail. Reading can, or finds the error.
    Unsendable,
    /// The client cannot be reached any more.
    Gone,
}

/// The event that a thread waits for.
#[derive(Clone, Copy)]
pub(super) enum Awaiting {
    Input,
    Room,
}

/// The event that ended a wait.
pub(super) enum Waited {
    /// It is worth a try.
    Ready,
    /// The time is over, or a signal came.
    Nothing,
    /// The server stops.
    Stopped,
    /// The connection has failed.
    Gone,
}

impl Transport {
    /// Reads into `room`.
    #[inline]
    pub(super) fn receive(&mut self, room: &mut [u8], scratch: &mut Vec<u8>) -> Received {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return pipe.receive(room),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return stream.receive(room),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.receive(room, scratch),
        };
        let _ = scratch;
        loop {
            return match recv(&*socket, &mut *room, RecvFlags::empty()) {
                Ok((0, _)) => Received::End,
                Ok((length, _)) => Received::Bytes { length, is_drained: length < room.len() },
                Err(Errno::AGAIN) => Received::Nothing,
                Err(Errno::INTR) => continue,
                Err(_) => Received::End,
            };
        }
    }

    /// Reads what is of no interest any more into `room`, to be forgotten.
    pub(super) fn forget(&mut self, room: &mut [u8], scratch: &mut Vec<u8>) -> Received {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.forget(room, scratch),
            _ => self.receive(room, scratch),
        }
    }

    /// Writes `bytes`.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8], follows: Follows, scratch: &mut Vec<u8>) -> Result<Taken, Gone> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return Ok(pipe.send([bytes, &[]])),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return stream.send([bytes, &[]]),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.send([bytes, &[]], follows, scratch),
        };
        let _ = scratch;
        let flags = match follows {
            Follows::AtOnce => SendFlags::NOSIGNAL | SendFlags::MORE,
            Follows::Perhaps | Follows::Nothing => SendFlags::NOSIGNAL,
        };
        taken(bytes.len(), || send(&*socket, bytes, flags))
    }

    /// Writes `head` and, behind it, `content`.
    pub(super) fn send_both(&mut self, head: &[u8], content: &[u8], scratch: &mut Vec<u8>) -> Result<Taken, Gone> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return Ok(pipe.send([head, content])),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return stream.send([head, content]),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.send([head, content], Follows::Perhaps, scratch),
        };
        let _ = scratch;
        let parts = [IoSlice::new(head), IoSlice::new(content)];
        taken(head.len() + content.len(), || {
            sendmsg(&*socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
        })
    }

    /// Writes up to `most` bytes of a file, from `position` in its content on. That it took less does not show that it
    /// is full.
    pub(super) fn send_file(
        &mut self,
        file: &FileBody,
        position: u64,
        most: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Taken, FileFailure> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return pipe.send_file(file, position, most),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return stream.send_file(file, position, most),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.send_file(file, position, most, scratch),
        };
        let _ = scratch;
        loop {
            let mut offset = file.offset() + position;
            return match sendfile(&*socket, file.file(), Some(&mut offset), most) {
                Ok(0) => Err(FileFailure::Shorter),
                Ok(length) => Ok(Taken { length, is_full: false }),
                Err(Errno::AGAIN) => Ok(Taken { length: 0, is_full: true }),
                Err(Errno::INTR) => continue,
                Err(error) if is_the_clients(error) => Err(FileFailure::Gone),
                Err(_) => Err(FileFailure::Unsendable),
            };
        }
    }

    /// Ends our side; the client may go on sending. False while there is no room for the word that says so: try again
    /// when there is.
    pub(super) fn end(&mut self) -> Result<bool, Gone> {
        match self {
            Self::Socket(socket) => shutdown(&*socket, Shutdown::Write).map(|()| true).map_err(|_| Gone),
            Self::Pipe(pipe) => {
                pipe.end(End::Regular);
                Ok(true)
            }
            #[cfg(feature = "http2")]
            Self::Stream(stream) => {
                stream.ends().finish();
                Ok(true)
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.end(),
        }
    }

    /// Says before a close that it is a regular one, where a close alone does not.
    pub(super) fn take_leave(&mut self) {
        if self.is_encrypted() {
            // The client may be away.
            let _ = self.end();
        }
    }

    /// Whether the session of TLS has failed. What there was to say about it waits for the [end](Self::end).
    pub(super) fn has_failed(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.failure().is_some(),
            _ => false,
        }
    }

    /// Whether there is a session of TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return matches!(self, Self::Tls(_));
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether the beginning of something has come that cannot be read yet.
    pub(super) fn has_part(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.has_part(),
            _ => false,
        }
    }

    /// The memory that it holds for records.
    pub(super) fn held(&self) -> usize {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.held(),
            _ => 0,
        }
    }

    /// Lets the close be seen as a failure, not as the regular end.
    pub(super) fn fail_at_close(&mut self) {
        match self {
            Self::Socket(socket) => {
                let _ = sockopt::set_socket_linger(&*socket, Some(Duration::ZERO));
            }
            Self::Pipe(pipe) => pipe.end(End::Failure),
            #[cfg(feature = "http2")]
            Self::Stream(_) => {}
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.fail_at_close(),
        }
    }

    /// Whether there are received bytes that are unread.
    pub(super) fn has_input(&self) -> bool {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return pipe.has_input(),
            #[cfg(feature = "http2")]
            Self::Stream(_) => return false,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.has_input(),
        };
        matches!(recv(socket, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((_, 1..)))
    }

    /// The content is complete, said where the bytes do not say it.
    pub(super) fn finish(&mut self) {
        #[cfg(feature = "http2")]
        if let Self::Stream(stream) = self {
            stream.ends().finish();
        }
    }

    /// Asks the client for the body that it has announced, where that needs no bytes of ours; false if it does.
    pub(super) fn asks_for_body(&mut self) -> bool {
        match self {
            #[cfg(feature = "http2")]
            Self::Stream(stream) => {
                stream.ends().ask_for_body();
                true
            }
            _ => false,
        }
    }

    /// A second way to the same client, for a reader of its own. It must be gone before the connection closes the
    /// first.
    pub(super) fn second(&self) -> io::Result<Self> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) => return Ok(Self::Pipe(Arc::clone(pipe))),
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return Ok(Self::Stream(stream.second())),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return Ok(Self::Tls(Box::new(tls.second()?))),
        };
        Ok(Self::Socket(rustix::io::fcntl_dupfd_cloexec(socket, 0)?))
    }

    /// The socket, for the poller. Others bring their news themselves.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(socket) => Some(socket.as_fd()),
            Self::Pipe(_) => None,
            #[cfg(feature = "http2")]
            Self::Stream(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.link().socket(),
        }
    }

    /// The waker of what brings its news itself. What has a slot is woken through that.
    pub(super) fn waker(&self) -> Option<Waker> {
        match self {
            Self::Socket(_) => None,
            Self::Pipe(pipe) => Some(Waker::from(Arc::clone(pipe))),
            #[cfg(feature = "http2")]
            Self::Stream(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.link().waker(),
        }
    }

    /// Lets this thread wait for the client, for this long at most, or until `stop` is readable.
    pub(super) fn wait(&self, awaiting: Awaiting, stop: BorrowedFd<'_>, timeout: Duration) -> Waited {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Pipe(pipe) if matches!(awaiting, Awaiting::Room) && pipe.has_room() => return Waited::Ready,
            // Its client is this very thread.
            Self::Pipe(_) => return Waited::Gone,
            #[cfg(feature = "http2")]
            Self::Stream(stream) => return stream.wait(stop, timeout),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => return tls.link().wait(awaiting, stop, timeout),
        };
        let for_what = match awaiting {
            Awaiting::Input => PollFlags::IN,
            Awaiting::Room => PollFlags::OUT,
        };
        let timeout = Timespec::try_from(timeout).ok();
        let mut waits = [PollFd::new(socket, for_what), PollFd::new(&stop, PollFlags::IN)];
        match poll(&mut waits, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Waited::Nothing,
            Ok(_) if !waits[1].revents().is_empty() => Waited::Stopped,
            Ok(_) => Waited::Ready,
            Err(_) => Waited::Gone,
        }
    }
}

#[inline]
fn taken(of: usize, call: impl Fn() -> Result<usize, Errno>) -> Result<Taken, Gone> {
    loop {
        return match call() {
            Ok(length) => Ok(Taken { length, is_full: length < of }),
            Err(Errno::AGAIN) => Ok(Taken { length: 0, is_full: true }),
            Err(Errno::INTR) => continue,
            Err(_) => Err(Gone),
        };
    }
}

/// The connection has ended. Anything else is about the file.
fn is_the_clients(error: Errno) -> bool {
    matches!(
        error,
        Errno::PIPE | Errno::CONNRESET | Errno::CONNABORTED | Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH
    )
}

/// Reads what has come and leaves it there.
pub(super) fn look(socket: BorrowedFd<'_>, room: &mut [u8]) -> Received {
    loop {
        return match recv(socket, &mut *room, RecvFlags::PEEK) {
            Ok((0, _)) => Received::End,
            Ok((length, _)) => Received::Bytes { length, is_drained: length < room.len() },
            Err(Errno::AGAIN) => Received::Nothing,
            Err(Errno::INTR) => continue,
            Err(_) => Received::End,
        };
    }
}

/// Takes so many bytes that have been looked at.
pub(super) fn take(socket: BorrowedFd<'_>, room: &mut [u8]) {
    let mut taken = 0;
    while taken < room.len() {
        match recv(socket, &mut room[taken..], RecvFlags::empty()) {
            Ok((0, _)) => return,
            Ok((length, _)) => taken += length,
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Ends both sides of a socket under its owner.
pub(super) fn cut_off(socket: BorrowedFd<'_>) {
    let _ = shutdown(socket, Shutdown::Both);
}

/// Whether the connection of a socket is reset, or the peer has ended its side and nothing before that end is left to
/// read. An alert of TLS is nothing: it is the word that comes with the end.
pub(super) fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    while let Err(Errno::INTR) = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {}
    let seen = look[0].revents();
    if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
        return true;
    }
    if !seen.contains(PollFlags::RDHUP) {
        return false;
    }
    let mut unread = [0; 64];
    let looked = loop {
        match recv(socket, &mut unread, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            looked => break looked,
        }
    };
    match looked {
        Ok((length, _)) => length == 0 || is_alert(&unread[..length.min(unread.len())]),
        Err(error) => error != Errno::AGAIN,
    }
}

/// Whether the bytes are one record of TLS that is as short as an alert: its own kind, or that of application data with
/// a kind, two bytes, and a tag in it. No request, and no part of one, looks like that.
fn is_alert(bytes: &[u8]) -> bool {
    match bytes {
        [kind @ (21 | 23), 3, _, 0, length, rest @ ..] if rest.len() == usize::from(*length) => {
            rest.len() <= if *kind == 21 { 40 } else { 19 }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
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
        Read::read_exact(&mut &server, &mut [0; 3]).expect("three bytes");
        assert!(has_hung_up(server.as_fd()));
    }

    #[test]
    fn an_alert_before_the_end_does_not_hide_it() {
        let alert = |kind: u8, length: u8| [&[kind, 3, 3, 0, length][..], &vec![9; usize::from(length)]].concat();
        let table = [
            (alert(23, 19), true),
            (alert(21, 26), true),
            (alert(23, 20), false),
            (alert(23, 19)[1..].to_vec(), false),
            ([alert(23, 19), alert(23, 19)].concat(), false),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), false),
        ];
        for (bytes, is_gone) in table {
            let (server, mut client) = pair();
            client.write_all(&bytes).expect("room");
            drop(client);
            recv(&server, &mut [0], RecvFlags::PEEK).expect("it has arrived");
            assert_eq!(has_hung_up(server.as_fd()), is_gone, "{bytes:?}");
        }
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
