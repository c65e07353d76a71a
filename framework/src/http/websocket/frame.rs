//! One frame (RFC 6455, section 5.2): its head, its mask, and the frames of a server, which have no mask.

use super::{CloseCode, Violation};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next part of a message.
    Continuation,
    /// A message of text, or its first part.
    Text,
    /// A message of bytes, or its first part.
    Binary,
    /// The end.
    Close,
    /// A question whether the other side is there.
    Ping,
    /// The answer to it.
    Pong,
}

impl Opcode {
    fn new(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
/// The largest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// The head of a frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) is_last: bool,
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) length: u64,
}

impl FrameHead {
    /// Reads a head, and says how long it is; `None` when it is not complete. A wrong first byte is refused at once.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let rule = |rule| Err(Violation::Protocol(rule));
        let Some(opcode) = Opcode::new(first & 0x0f) else { return rule("a frame of an unknown kind") };
        let (is_last, is_compressed) = (first & FIN != 0, first & COMPRESSED != 0);
        if first & RESERVED != 0 {
            return rule("a reserved bit is set");
        }
        if opcode.is_control() && !is_last {
            return rule("a control frame in parts");
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return rule("a frame of a client without a mask");
        }
        let short = usize::from(second & !MASKED);
        if opcode.is_control() && short > MAX_CONTROL {
            return rule("a control frame of more than 125 bytes");
        }
        let (length, end) = match short {
            126 => match bytes.get(2..4).and_then(|length| length.try_into().ok()) {
                Some(length) => (u64::from(u16::from_be_bytes(length)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|length| length.try_into().ok()) {
                Some(length) => (u64::from_be_bytes(length), 10),
                None => return Ok(None),
            },
            short => (short as u64, 2),
        };
        let is_shortest = match end {
            4 => length > 125,
            10 => length > u64::from(u16::MAX),
            _ => true,
        };
        if !is_shortest || length >> 63 != 0 {
            return rule("a length that is not written as short as it can be");
        }
        let Some(mask) = bytes.get(end..end + 4).and_then(|mask| mask.try_into().ok()) else { return Ok(None) };
        Ok(Some((Self { is_last, is_compressed, opcode, mask, length }, end + 4)))
    }
}

/// Appends `masked` to `out` without its mask, and turns the mask to the byte that follows.
pub(super) fn unmask(out: &mut Vec<u8>, masked: &[u8], mask: &mut [u8; 4]) {
    let start = out.len();
    out.extend_from_slice(masked);
    let (groups, rest) = out[start..].as_chunks_mut::<4>();
    for group in groups {
        *group = (u32::from_ne_bytes(*group) ^ u32::from_ne_bytes(*mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(*mask).for_each(|(byte, mask)| *byte ^= mask);
    mask.rotate_left(masked.len() % 4);
}

/// Appends a whole message, or a control frame, of a server.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write(out, opcode, payload, false);
}

#[expect(clippy::cast_possible_truncation, reason = "each length is matched")]
pub(super) fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], is_compressed: bool) {
    debug_assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL, "the caller knows the limit");
    out.reserve(payload.len() + 10);
    out.push(FIN | opcode.bits() | if is_compressed { COMPRESSED } else { 0 });
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a close frame. The reason is cut to what fits into it; a code that nobody may send is left out with it.
pub fn write_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str) {
    let Some(code) = code.and_then(|code| CloseCode::new(code.number())) else {
        return write_frame(out, Opcode::Close, &[]);
    };
    let mut payload = code.number().to_be_bytes().to_vec();
    let most = reason.len().min(MAX_CONTROL - 2);
    let end = (0..=most).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    write_frame(out, Opcode::Close, &payload);
}

/// The length of the whole frame of a server at the beginning of `frames`.
pub(crate) fn frame_length(frames: &[u8]) -> Option<usize> {
    let length = match *frames.get(1)? {
        126 => usize::from(u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?)) + 4,
        127 => usize::try_from(u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?)).ok()? + 10,
        short => usize::from(short) + 2,
    };
    Some(length)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_has_what_fits_and_what_may_be_sent() {
        let long = "\u{fc}".repeat(100);
        for (code, reason, payload) in [
            (Some(CloseCode::NORMAL), "bye", &b"\x03\xe8bye"[..]),
            (Some(CloseCode::GOING_AWAY), &long, &[b"\x03\xe9", &long.as_bytes()[..122]].concat()),
            (None, "lost", b""),
            (Some(CloseCode::LOST), "lost", b""),
            (Some(CloseCode::NO_CODE), "", b""),
        ] {
            let mut out = Vec::new();
            write_close(&mut out, code, reason);
            assert_eq!(out[1..], [&[u8::try_from(payload.len()).expect("short")], payload].concat(), "{code:?}");
        }
    }
}
