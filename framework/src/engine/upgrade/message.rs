//! What the old and the new process say to each other, over a pair of Unix sockets that keep messages apart.
//!
//! A message is JSON of a bounded length, and may carry one descriptor. The first one names the version: a program that
//! does not know it fails to start, and the old one goes on. Fields that a version does not know are passed over.

use crate::Result;
use crate::exchange::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Of the messages below. It changes with the meaning of one.
const VERSION: u32 = 1;

/// The longest message, in bytes.
const MAX_LENGTH: usize = 64 << 10;

/// Most messages of a hand-over: listeners and older processes.
pub(super) const MAX_MESSAGES: usize = 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The first one of the old process.
    Hello {
        version: u32,
        /// Whether it has given up the rights of root.
        has_dropped: bool,
        /// The keys of its TLS tickets, so that its clients need no full handshake.
        #[serde(default)]
        ticket_keys: Option<Vec<u8>>,
    },
    /// A listener, with its socket.
    Listener { name: String },
    /// An older process that still ends what it has begun. Its socket is closed when it has ended.
    Elder,
    /// That was all.
    Complete,
    /// The new process accepts.
    Ready,
    /// It does not start.
    Failed { reason: String },
    /// The background jobs of the old process have ended.
    Begin,
}

impl Message {
    pub(super) fn hello(has_dropped: bool, ticket_keys: Option<Vec<u8>>) -> Self {
        Self::Hello { version: VERSION, has_dropped, ticket_keys }
    }

    /// Whether this process had given up its rights, and its keys, if the other speaks of the same things.
    pub(super) fn greeted(self) -> Result<(bool, Option<Vec<u8>>)> {
        match self {
            Self::Hello { version: VERSION, has_dropped, ticket_keys } => Ok((has_dropped, ticket_keys)),
            Self::Hello { version, .. } => Err(Error::unexpected(format!(
                "the program that is replaced hands over in version {version}, this one takes {VERSION}: stop it and start this one"
            ))),
            other => Err(unexpected(&other)),
        }
    }
}

pub(super) fn unexpected(message: &Message) -> Error {
    Error::unexpected(format!("the other process said {message:?} out of its turn"))
}

/// One end of the pair. A clone is the same end.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

/// What has come.
pub(super) enum Received {
    Message(Message, Option<OwnedFd>),
    /// The other process has closed its end, or has ended.
    Closed,
    /// Nothing until the deadline.
    Late,
}

impl Link {
    /// Both ends.
    pub(super) fn pair() -> Result<(Self, OwnedFd)> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (own, other) = pair.map_err(std::io::Error::from)?;
        Ok((Self(own), other))
    }

    pub(super) fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(super) fn try_clone(&self) -> Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.0
    }

    /// Sends a message, with a descriptor if it carries one. It does not wait: what is said fits into the socket.
    pub(super) fn send(&self, message: &Message, carried: Option<BorrowedFd<'_>>) -> Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > MAX_LENGTH {
            return Err(Error::unexpected(format!("a message of {} bytes is too long to be handed over", text.len())));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = carried.map(|descriptor| [descriptor]);
        if let Some(descriptors) = &descriptors {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, flags).map_err(std::io::Error::from)?;
        Ok(())
    }

    /// The next message, or why there is none.
    pub(super) fn receive(&self, deadline: Instant) -> Result<Received> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout =
                Timespec::try_from(left).map_err(|_| Error::unexpected("a deadline that no clock reaches"))?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Ok(Received::Late),
                Ok(_) => return self.receive_now(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
    }

    /// What is there already.
    pub(super) fn receive_now(&self) -> Result<Received> {
        let mut text = vec![0; MAX_LENGTH];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match recvmsg(&self.0, &mut [IoSliceMut::new(&mut text)], &mut control, flags) {
            Ok(received) if received.bytes == 0 => return Ok(Received::Closed),
            Ok(received) => received,
            Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::Closed),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Late),
            Err(error) => return Err(std::io::Error::from(error).into()),
        };
        let carried = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let message = serde_json::from_slice(&text[..received.bytes]).map_err(|error| {
            Error::unexpected(format!("the other process is not a Kirsch program of this kind: {error}"))
        })?;
        Ok(Received::Message(message, carried))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn a_listener_that_is_sent_takes_the_client_that_had_come_before() {
        let (old, new) = Link::pair().unwrap();
        let new = Link::of(new);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let name = "127.0.0.1:0".to_owned();
        old.send(&Message::Listener { name: name.clone() }, Some(listener.as_fd())).unwrap();
        drop(listener);
        let Received::Message(Message::Listener { name: sent }, Some(socket)) = new.receive(soon()).unwrap() else {
            panic!("nothing was sent");
        };
        assert_eq!(sent, name);
        TcpListener::from(socket).accept().unwrap().0.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 1);
    }

    #[test]
    fn an_end_that_is_closed_and_one_that_is_silent_are_told_apart() {
        let (old, new) = Link::pair().unwrap();
        assert!(matches!(old.receive(Instant::now()), Ok(Received::Late)));
        drop(new);
        assert!(matches!(old.receive(soon()), Ok(Received::Closed)));
    }

    #[test]
    fn what_is_no_message_and_another_version_are_refused_with_a_sentence() {
        let (old, new) = Link::pair().unwrap();
        for junk in [&b"\0\xff"[..], b"{}", b"\"Nothing\"", &[b'x'; 70_000]] {
            rustix::net::send(&new, junk, SendFlags::empty()).unwrap();
            let refused = old.receive(soon()).err().unwrap().to_string();
            assert!(refused.contains("not a Kirsch program of this kind"), "{refused}");
        }
        let later: Message = serde_json::from_str(r#"{"hello":{"version":2,"has_dropped":false,"more":1}}"#).unwrap();
        let refused = later.greeted().unwrap_err().to_string();
        assert!(refused.contains("version 2"), "{refused}");
        assert_eq!(Message::hello(true, None).greeted().unwrap(), (true, None));
    }
}
