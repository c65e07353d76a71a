//! Counts of what a client may do for nothing: frames that ask for nothing, and requests that are given up.
//!
//! Many attacks on HTTP/2 are cheap frames that cost the server something: PING and SETTINGS that want an answer,
//! streams that are opened and reset (CVE-2023-44487), or that the client makes the server reset (CVE-2025-8671). They
//! have no limit in the protocol. Here they are counted against what the connection is for: requests and content. The
//! engine ends the floods that it knows itself (CONTINUATION, empty and tiny DATA, resets before a request was taken).

/// Bytes that are received beyond eight times the content, as in nginx. Window updates of a long download are few
/// beside its content.
const FREE_BYTES: u64 = 1024 * 1024;
const BYTES_FOR_A_BYTE: u64 = 8;
/// Streams that are given up without any content, before a share of all streams counts.
const FREE_RESETS: u64 = 100;
/// One of so many.
const RESETS: u64 = 4;

/// The frames of a client, seen from outside: how many bytes belong to requests.
///
/// It knows the nine bytes before each frame and nothing else. What it makes of bytes that are no frames does not
/// matter, since the engine refuses them.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: u64,
    /// Bytes of frames with heads and content.
    useful: u64,
    /// Streams that were opened.
    streams: u64,
    /// The client has acknowledged our settings.
    has_acknowledged: bool,
    /// The beginning of a frame's head.
    head: [u8; 9],
    in_head: usize,
    /// What is left of the frame's content, and whether it is useful.
    left: u64,
    is_useful: bool,
}

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

impl Meter {
    /// A meter for what comes behind the preface, of which `before` bytes are still to come.
    pub(super) fn behind(before: usize) -> Self {
        Self { left: before as u64, is_useful: true, ..Self::default() }
    }

    pub(super) fn count(&mut self, mut bytes: &[u8]) {
        self.received += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[taken..];
                self.left -= taken as u64;
                self.useful += taken as u64 * u64::from(self.is_useful);
                continue;
            }
            let taken = bytes.len().min(self.head.len() - self.in_head);
            self.head[self.in_head..self.in_head + taken].copy_from_slice(&bytes[..taken]);
            self.in_head += taken;
            bytes = &bytes[taken..];
            if self.in_head == self.head.len() {
                let [high, middle, low, kind, flags, ..] = self.head;
                self.in_head = 0;
                self.left = u64::from(u32::from_be_bytes([0, high, middle, low]));
                self.is_useful = matches!(kind, DATA | HEADERS | CONTINUATION);
                self.streams += u64::from(kind == HEADERS);
                self.has_acknowledged |= kind == SETTINGS && flags & ACK != 0;
            }
        }
    }

    /// Whether the client has acknowledged our settings.
    pub(super) fn has_acknowledged(&self) -> bool {
        self.has_acknowledged
    }

    /// Whether it is a flood, if the client was sent so much content, and has given up so many streams for nothing.
    pub(super) fn is_flood(&self, content_sent: u64, fruitless: usize) -> bool {
        let bytes =
            (self.useful.saturating_add(content_sent)).saturating_mul(BYTES_FOR_A_BYTE).saturating_add(FREE_BYTES);
        self.received > bytes || fruitless as u64 > FREE_RESETS + self.streams / RESETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = u32::try_from(length).expect("a length").to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 1]);
        frame.resize(9 + length, b'x');
        frame
    }

    fn metered(frames: &[u8], piece: usize) -> Meter {
        let mut meter = Meter::default();
        frames.chunks(piece).for_each(|piece| meter.count(piece));
        meter
    }

    #[test]
    fn the_counts_do_not_depend_on_how_the_frames_are_split() {
        let frames = [frame(HEADERS, 20), frame(6, 8), frame(DATA, 300), frame(DATA, 0), frame(8, 4)].concat();
        for piece in [1, 2, 8, 9, 10, 1000] {
            let meter = metered(&frames, piece);
            assert_eq!((meter.useful, meter.streams, meter.received), (320, 1, frames.len() as u64), "{piece}");
        }
    }

    #[test]
    fn a_million_pings_are_a_flood_and_those_of_a_long_life_are_not() {
        let pings = |count| metered(&frame(6, 8).repeat(count), 4096);
        assert!(!pings(50_000).is_flood(0, 0));
        assert!(pings(1_000_000).is_flood(0, 0));
    }

    #[test]
    fn window_updates_of_a_download_are_no_flood() {
        let updates = metered(&frame(8, 4).repeat(200_000), 4096);
        assert!(updates.is_flood(0, 0));
        assert!(!updates.is_flood(200_000 * 16_384, 0));
    }

    #[test]
    fn streams_that_are_given_up_are_a_flood_when_they_are_many_and_a_quarter() {
        let streams = metered(&frame(HEADERS, 20).repeat(1000), 4096);
        assert!(!streams.is_flood(0, 350));
        assert!(streams.is_flood(0, 351));
        assert!(!Meter::default().is_flood(0, 100));
    }
}
