//! What an application writes to talk with one client.

use super::{CloseCode, Peer, SendError};
use crate::exchange::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// One client's side of an application, for as long as the client stays.
///
/// The server calls one method at a time, in the order in which things happen, on any worker. So nothing of it needs a
/// lock, and a slow message delays nobody but its own client: nothing more is read from that meanwhile.
///
/// An error ends the conversation: [`CloseWith`] and [`Peer::close`] choose the code; [`Unsupported`] is 1003;
/// [`SendError::Full`] is 1013, since the client is too slow; an answer below 500, such as
/// [`Error::new`](crate::Error::new) makes, is 1008 with its message; any other error, and a panic, is 1011, with the
/// cause in the log.
pub trait Conversation: Send + 'static {
    /// The client is there; nothing was received yet.
    ///
    /// # Errors
    /// End the conversation.
    fn opened(&mut self, peer: &Peer) -> Result<(), Error> {
        let _ = peer;
        Ok(())
    }

    /// The client has sent this.
    ///
    /// # Errors
    /// End the conversation.
    fn message(&mut self, message: Message<'_>, peer: &Peer) -> Result<(), Error>;

    /// It is over: called once after [`opened`](Self::opened), whatever has ended it. A client that is silent is waited
    /// for first, as long as the protocol allows.
    fn closed(&mut self, why: &Closed) {
        let _ = why;
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'m> {
    /// Text.
    Text(&'m str),
    /// Bytes.
    Bytes(&'m [u8]),
}

impl<'m> Message<'m> {
    /// The text.
    ///
    /// # Errors
    /// If it is not text; the client is told so by code 1003.
    pub fn text(self) -> Result<&'m str, Unsupported> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bytes(_) => Err(Unsupported("this page takes text")),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// If it is text; the client is told so by code 1003.
    pub fn bytes(self) -> Result<&'m [u8], Unsupported> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Text(_) => Err(Unsupported("this page takes bytes")),
        }
    }

    /// The content, whatever it is.
    #[must_use]
    pub fn content(self) -> &'m [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Only kind and length: messages are no business of logs.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes of {} bytes", bytes.len()),
        }
    }
}

impl<'m> From<&'m str> for Message<'m> {
    fn from(text: &'m str) -> Self {
        Self::Text(text)
    }
}

impl<'m> From<&'m String> for Message<'m> {
    fn from(text: &'m String) -> Self {
        Self::Text(text)
    }
}

impl<'m> From<&'m [u8]> for Message<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'m> From<&'m Vec<u8>> for Message<'m> {
    fn from(bytes: &'m Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// How a conversation has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code that the client has sent, or was sent; [`CloseCode::LOST`] if the connection was lost.
    pub code: CloseCode,
    /// The words with it, perhaps empty. Those of a client are a stranger's text.
    pub reason: String,
    /// Whether the client has ended it.
    pub by_client: bool,
    /// How long it was open.
    pub after: Duration,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_client { "the client" } else { "the server" };
        match self.code {
            CloseCode::LOST => f.write_str("the connection was lost"),
            CloseCode::NO_CODE => write!(f, "closed by {who}"),
            code => write!(f, "closed by {who} with {code}"),
        }
    }
}

/// Ends the conversation with this code: an error for [`Conversation`]'s methods.
///
/// ```
/// use kirsch::websocket::{CloseCode, CloseWith, Conversation, Message, Peer};
///
/// struct Polite;
///
/// impl Conversation for Polite {
///     fn message(&mut self, message: Message<'_>, _: &Peer) -> kirsch::Result<()> {
///         match message.text()? {
///             "bye" => Err(CloseWith(CloseCode::NORMAL, "see you".to_owned()))?,
///             _ => Ok(()),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CloseWith(pub CloseCode, pub String);

impl fmt::Display for CloseWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the conversation ends with {}: {}", self.0, self.1)
    }
}

impl std::error::Error for CloseWith {}

/// A message of the other kind than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported(&'static str);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unsupported {}

/// What the client is told of an error of the application, and whether the error is the application's fault.
pub(crate) fn verdict(error: &Error) -> (CloseCode, String, bool) {
    match error.kind() {
        ErrorKind::Http(error) if error.status.is_client_error() => (CloseCode::POLICY, error.message.clone(), false),
        ErrorKind::Http(error) if error.status == ::http::StatusCode::SERVICE_UNAVAILABLE => {
            (CloseCode::TRY_LATER, error.message.clone(), false)
        }
        ErrorKind::Unexpected(error) => {
            if let Some(CloseWith(code, reason)) = error.downcast_ref() {
                (*code, reason.clone(), false)
            } else if let Some(unsupported) = error.downcast_ref::<Unsupported>() {
                (CloseCode::UNSUPPORTED, unsupported.to_string(), false)
            } else {
                match error.downcast_ref::<SendError>() {
                    Some(SendError::Full) => (CloseCode::TRY_LATER, "this client is too slow".to_owned(), false),
                    // It ends already.
                    Some(SendError::Over) => (CloseCode::NORMAL, String::new(), false),
                    None => (CloseCode::FAILED, String::new(), true),
                }
            }
        }
        _ => (CloseCode::FAILED, String::new(), true),
    }
}
