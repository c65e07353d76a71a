//! Messages out of the bytes of a client: parts put together, masks taken off, text checked, as far as bytes have come.
//!
//! The decoder keeps a message while it is incomplete, and nothing else: a rule that is broken shows at the first byte
//! that breaks it, a message that is too large at its announcement. A head of a frame that is not complete stays with
//! the caller.

use super::frame::{FrameHead, unmask};
use super::{CloseCode, Opcode, Violation};

/// Turns the bytes of one client into messages.
#[derive(Debug)]
pub struct Decoder {
    /// The largest message, in bytes.
    most: usize,
    /// Whether messages may be compressed.
    deflates: bool,
    /// The message so far; for a compressed one, as it came.
    message: Vec<u8>,
    /// How much of the text is known to be UTF-8.
    checked: usize,
    phase: Phase,
    frame: Option<Frame>,
    /// The payload of the control frame that is coming in.
    control: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between two messages. The last one may still be here, for its reader.
    Between,
    /// In the middle of a message.
    Within { is_text: bool, is_compressed: bool },
}

/// A frame whose payload is coming in.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    is_last: bool,
    mask: [u8; 4],
    left: u64,
}

/// Something complete.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A message of text, which [`Decoder::message`] has.
    Text,
    /// A message of bytes, likewise.
    Binary,
    /// The client asks whether we are there; the answer carries the same bytes.
    Ping(Vec<u8>),
    /// The client is there.
    Pong(Vec<u8>),
    /// The client ends the conversation.
    Close(Option<CloseCode>, String),
}

impl Decoder {
    /// For messages of up to `most` bytes, which may be compressed if both sides have agreed on that.
    #[must_use]
    pub fn new(most: usize, deflates: bool) -> Self {
        Self {
            most,
            deflates,
            message: Vec::new(),
            checked: 0,
            phase: Phase::Between,
            frame: None,
            control: Vec::new(),
        }
    }

    /// Uses bytes up to the next event, and says how many. Without an event all is used, but for a part of a head.
    ///
    /// # Errors
    /// The rule that the client broke. Nothing that comes later can be read.
    pub fn decode(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), Violation> {
        let mut used = 0;
        loop {
            let Some(frame) = &mut self.frame else {
                let Some((head, length)) = FrameHead::read(&input[used..])? else { return Ok((used, None)) };
                used += length;
                self.begin(head)?;
                continue;
            };
            let there = &input[used..];
            let piece = &there[..usize::try_from(frame.left).unwrap_or(usize::MAX).min(there.len())];
            let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
            unmask(into, piece, &mut frame.mask);
            used += piece.len();
            frame.left -= piece.len() as u64;
            let frame = *frame;
            if !frame.opcode.is_control() {
                self.check_text()?;
            }
            if frame.left > 0 {
                return Ok((used, None));
            }
            self.frame = None;
            if let Some(event) = self.end(frame)? {
                return Ok((used, Some(event)));
            }
        }
    }

    /// The message of the last event.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Gives back the memory of the last message; for a client that is silent now.
    pub fn forget(&mut self) {
        if self.phase == Phase::Between && self.frame.is_none() {
            self.message = Vec::new();
        }
    }

    /// Whether a frame or a message has begun that is not complete.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.phase != Phase::Between || self.frame.is_some()
    }

    fn begin(&mut self, head: FrameHead) -> Result<(), Violation> {
        let FrameHead { opcode, is_last, is_compressed, mask, length } = head;
        match opcode {
            Opcode::Text | Opcode::Binary if self.phase != Phase::Between => {
                return Err(Violation::Protocol("a message within another one"));
            }
            Opcode::Text | Opcode::Binary if is_compressed && !self.deflates => {
                return Err(Violation::Protocol("a compressed message that was not agreed on"));
            }
            Opcode::Text | Opcode::Binary => {
                self.message.clear();
                self.checked = 0;
                self.phase = Phase::Within { is_text: opcode == Opcode::Text, is_compressed };
            }
            _ if is_compressed => return Err(Violation::Protocol("a reserved bit is set")),
            Opcode::Continuation if self.phase == Phase::Between => {
                return Err(Violation::Protocol("a part of no message"));
            }
            _ => {}
        }
        if !opcode.is_control() && length > (self.most - self.message.len()) as u64 {
            return Err(Violation::TooLarge);
        }
        self.frame = Some(Frame { opcode, is_last, mask, left: length });
        Ok(())
    }

    /// The frame is complete.
    fn end(&mut self, frame: Frame) -> Result<Option<Event>, Violation> {
        Ok(Some(match frame.opcode {
            Opcode::Ping => Event::Ping(std::mem::take(&mut self.control)),
            Opcode::Pong => Event::Pong(std::mem::take(&mut self.control)),
            Opcode::Close => self.closed()?,
            Opcode::Text | Opcode::Binary | Opcode::Continuation if frame.is_last => self.complete()?,
            Opcode::Text | Opcode::Binary | Opcode::Continuation => return Ok(None),
        }))
    }

    fn closed(&mut self) -> Result<Event, Violation> {
        let payload = std::mem::take(&mut self.control);
        let (number, reason) = match payload.split_first_chunk::<2>() {
            None if payload.is_empty() => return Ok(Event::Close(None, String::new())),
            None => return Err(Violation::Protocol("half a close code")),
            Some((number, reason)) => (u16::from_be_bytes(*number), reason),
        };
        let Some(code) = CloseCode::new(number) else {
            return Err(Violation::Protocol("a close code that nobody may send"));
        };
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotText)?;
        Ok(Event::Close(Some(code), reason.to_owned()))
    }

    /// The message is complete.
    fn complete(&mut self) -> Result<Event, Violation> {
        let Phase::Within { is_text, is_compressed } = self.phase else {
            return Err(Violation::Protocol("a part of no message"));
        };
        if is_compressed {
            self.inflate()?;
            if is_text && std::str::from_utf8(&self.message).is_err() {
                return Err(Violation::NotText);
            }
        } else if is_text && self.checked != self.message.len() {
            return Err(Violation::NotText);
        }
        self.phase = Phase::Between;
        Ok(if is_text { Event::Text } else { Event::Binary })
    }

    /// Text is checked as it comes. A character may still be incomplete at the end.
    fn check_text(&mut self) -> Result<(), Violation> {
        if let Phase::Within { is_text: true, is_compressed: false } = self.phase {
            match std::str::from_utf8(&self.message[self.checked..]) {
                Ok(_) => self.checked = self.message.len(),
                Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
                Err(_) => return Err(Violation::NotText),
            }
        }
        Ok(())
    }

    #[cfg(feature = "websocket-deflate")]
    fn inflate(&mut self) -> Result<(), Violation> {
        self.message = super::deflate::inflated(&self.message, self.most)?;
        Ok(())
    }

    #[cfg(not(feature = "websocket-deflate"))]
    fn inflate(&mut self) -> Result<(), Violation> {
        let _ = &mut self.message;
        Err(Violation::NotDeflated)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// A frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).expect("small")),
            length @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&u16::try_from(length).expect("fits").to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [0xa5, 0x01, 0xff, 0x3c];
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// All events of `input`, one a line, and the rule that ended it.
    fn read(pieces: &[&[u8]], most: usize, deflates: bool) -> String {
        let mut decoder = Decoder::new(most, deflates);
        let (mut kept, mut told) = (Vec::new(), Vec::new());
        for piece in pieces {
            kept.extend_from_slice(piece);
            loop {
                match decoder.decode(&kept) {
                    Ok((used, event)) => {
                        kept.drain(..used);
                        let Some(event) = event else { break };
                        told.push(match event {
                            Event::Text => format!("text {}", std::str::from_utf8(decoder.message()).expect("UTF-8")),
                            Event::Binary => format!("bytes {}", decoder.message().len()),
                            Event::Ping(bytes) => format!("ping {}", bytes.len()),
                            Event::Pong(bytes) => format!("pong {}", bytes.len()),
                            Event::Close(code, reason) => format!("close {code:?} {reason}"),
                        });
                    }
                    Err(violation) => {
                        told.push(format!("{} {violation}", violation.code()));
                        return told.join("; ");
                    }
                }
            }
        }
        told.join("; ")
    }

    /// What comes, byte by byte, in halves at every byte, and at once, is the same.
    fn at_every_split(input: &[u8], most: usize, deflates: bool) -> String {
        let whole = read(&[input], most, deflates);
        let single: Vec<_> = input.chunks(1).collect();
        assert_eq!(read(&single, most, deflates), whole, "byte by byte: {input:02x?}");
        if input.len() < 1000 {
            for split in 0..input.len() {
                let (first, second) = input.split_at(split);
                assert_eq!(read(&[first, second], most, deflates), whole, "split at {split}: {input:02x?}");
            }
        }
        whole
    }

    #[test]
    fn frames_mean_the_same_at_every_split() {
        let ping = frame(0x89, b"you?");
        let close = |code: u16, reason: &[u8]| frame(0x88, &[&code.to_be_bytes(), reason].concat());
        let long = format!("close Some(4999) {}", "r".repeat(123));
        let table: Vec<(Vec<u8>, &str)> = vec![
            (frame(0x81, b"hello"), "text hello"),
            (frame(0x81, b""), "text "),
            (frame(0x82, &[0, 255]), "bytes 2"),
            (frame(0x82, &[7; 126]), "bytes 126"),
            (frame(0x82, &[7; 65_535]), "bytes 65535"),
            (frame(0x82, &[7; 65_536]), "bytes 65536"),
            ([frame(0x81, b"a"), frame(0x81, b"b")].concat(), "text a; text b"),
            ([frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, b"c")].concat(), "text abc"),
            ([frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")].concat(), "text "),
            ([frame(0x01, b"a"), ping, frame(0x80, b"b")].concat(), "ping 4; text ab"),
            (frame(0x8a, &[1; 125]), "pong 125"),
            // A character in two parts.
            ([frame(0x01, b"k\xc3"), frame(0x80, b"\xb6")].concat(), "text k\u{f6}"),
            ("κόσμε".as_bytes().to_vec(), "1002 a frame of an unknown kind"),
            (frame(0x81, "κόσμε".as_bytes()), "text κόσμε"),
            (frame(0x81, b"\xed\xa0\x80"), "1007 the text is not UTF-8"),
            (frame(0x81, b"\xf4\x90\x80\x80"), "1007 the text is not UTF-8"),
            (frame(0x81, b"k\xc3"), "1007 the text is not UTF-8"),
            ([frame(0x01, b"\xc3"), frame(0x00, b"(")].concat(), "1007 the text is not UTF-8"),
            (frame(0x80, b"a"), "1002 a part of no message"),
            (frame(0x00, b"a"), "1002 a part of no message"),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), "1002 a message within another one"),
            ([frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")].concat(), "text ab; 1002 a part of no message"),
            (frame(0xc1, b"a"), "1002 a compressed message that was not agreed on"),
            (frame(0xa1, b"a"), "1002 a reserved bit is set"),
            (frame(0x91, b"a"), "1002 a reserved bit is set"),
            (frame(0xc9, b"a"), "1002 a reserved bit is set"),
            (frame(0x83, b""), "1002 a frame of an unknown kind"),
            (frame(0x8b, b""), "1002 a frame of an unknown kind"),
            (frame(0x09, b""), "1002 a control frame in parts"),
            (frame(0x89, &[0; 126]), "1002 a control frame of more than 125 bytes"),
            (vec![0x81, 0x01, b'a'], "1002 a frame of a client without a mask"),
            (vec![0x82, 0xfe, 0, 125], "1002 a length that is not written as short as it can be"),
            (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], "1002 a length that is not written as short as it can be"),
            (vec![0x82, 0xff, 128, 0, 0, 0, 0, 0, 0, 0], "1002 a length that is not written as short as it can be"),
            // A gibibyte is refused at its announcement.
            (vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4], "1009 the message is too large"),
            ([frame(0x02, &[0; 60_000]), frame(0x80, &[0; 6_000])].concat(), "1009 the message is too large"),
            (frame(0x88, b""), "close None "),
            (frame(0x88, b"\x03"), "1002 half a close code"),
            (close(1000, b""), "close Some(1000) "),
            (close(1001, b"left"), "close Some(1001) left"),
            (close(4999, &[b'r'; 123]), &long),
            (close(1000, b"\xff"), "1007 the text is not UTF-8"),
        ];
        for (input, expected) in table {
            assert_eq!(at_every_split(&input, 65_536, false), expected, "{:02x?}", &input[..input.len().min(20)]);
        }
    }

    #[test]
    fn some_close_codes_may_be_sent_and_others_not() {
        for number in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert_eq!(CloseCode::new(number).map(CloseCode::number), Some(number));
        }
        for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            assert_eq!(CloseCode::new(number), None, "{number}");
        }
    }

    #[test]
    fn a_silent_client_keeps_no_memory_and_an_incomplete_message_does() {
        let mut decoder = Decoder::new(1000, false);
        decoder.decode(&frame(0x02, b"half")).expect("a frame");
        decoder.forget();
        assert!(decoder.is_within() && decoder.message() == b"half");
        decoder.decode(&frame(0x80, b"whole")).expect("a frame");
        assert!(!decoder.is_within());
        decoder.forget();
        assert_eq!(decoder.message.capacity(), 0);
    }

    #[cfg(feature = "websocket-deflate")]
    #[test]
    fn compressed_messages_are_read_up_to_the_limit_and_refused_beyond() {
        let small = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(at_every_split(&frame(0xc1, &small), 1000, true), "text Hello");
        let parts = [frame(0x41, &small[..3]), frame(0x80, &small[3..])].concat();
        assert_eq!(at_every_split(&parts, 1000, true), "text Hello");
        // A block that says it is the last (RFC 7692, section 7.2.3.5).
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(at_every_split(&frame(0xc1, &last), 1000, true), "text Hello");
        assert_eq!(at_every_split(&frame(0xc1, b"\xff\xff"), 1000, true), "1007 the compressed data cannot be read");
        let bomb =
            super::super::deflate::compressed(&[0; 100_000], crate::http::websocket::Window::Any).expect("it gains");
        assert_eq!(at_every_split(&frame(0xc2, &bomb), 100_000, true), "bytes 100000");
        assert_eq!(at_every_split(&frame(0xc2, &bomb), 99_999, true), "1009 the message is too large");
        assert_eq!(at_every_split(&frame(0xc1, &[]), 1000, true), "text ");
    }
}
