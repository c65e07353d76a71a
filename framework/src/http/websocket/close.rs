//! Close codes (RFC 6455, section 7.4), and the rules that a client can break.

use std::fmt;

/// Why a conversation ends, as a number that both sides understand (RFC 6455, section 7.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// It has served its purpose.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// A rule of the protocol is broken.
    pub const PROTOCOL: Self = Self(1002);
    /// A kind of data that is not taken, such as bytes where text is expected.
    pub const UNSUPPORTED: Self = Self(1003);
    /// The other side gave no code. Never sent.
    pub const NO_CODE: Self = Self(1005);
    /// The connection was lost. Never sent.
    pub const LOST: Self = Self(1006);
    /// Text that is not UTF-8, or compressed data that cannot be read.
    pub const INVALID: Self = Self(1007);
    /// Against the rules of the application: a logout, for one.
    pub const POLICY: Self = Self(1008);
    /// A message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server failed.
    pub const FAILED: Self = Self(1011);
    /// Too much at the moment: come back later.
    pub const TRY_LATER: Self = Self(1013);

    /// The code as a number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// A code that a side may send: one of those above, another registered one, or 3000 to 4999, which are free for
    /// libraries (to 3999) and applications.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A rule that the client broke. It never carries what the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A rule of frames.
    Protocol(&'static str),
    /// Text that is not UTF-8.
    NotText,
    /// Compressed data that cannot be read.
    NotDeflated,
    /// A message beyond the limit.
    TooLarge,
}

impl Violation {
    /// The code that the client is told.
    #[must_use]
    pub fn code(self) -> CloseCode {
        match self {
            Self::Protocol(_) => CloseCode::PROTOCOL,
            Self::NotText | Self::NotDeflated => CloseCode::INVALID,
            Self::TooLarge => CloseCode::TOO_LARGE,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol(rule) => rule,
            Self::NotText => "the text is not UTF-8",
            Self::NotDeflated => "the compressed data cannot be read",
            Self::TooLarge => "the message is too large",
        })
    }
}
