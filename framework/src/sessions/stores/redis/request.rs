//! What is sent: the keys of a session, the head of its record, and commands in the protocol's own form.
//!
//! All of it is made with nearly every request, so it is written once, into one buffer, without a value for each word.

/// The keys of one session, all on one node of a Cluster: what is in the braces alone decides about that.
pub(super) struct Keys {
    lock: String,
    wait: String,
    prefix: usize,
}

impl Keys {
    const SUFFIX: usize = ":lock".len();

    /// `name`: within the prefix, and what is told to those who wait.
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        let key = |suffix: &str| [prefix, "{", name, "}", suffix].concat();
        Self { lock: key(":lock"), wait: key(":wait"), prefix: prefix.len() }
    }

    pub(super) fn name(&self) -> &str {
        &self.lock[self.prefix + 1..self.lock.len() - Self::SUFFIX - 1]
    }

    pub(super) fn record_name(&self) -> &str {
        &self.lock[..self.lock.len() - Self::SUFFIX]
    }

    pub(super) fn record(&self) -> &[u8] {
        self.record_name().as_bytes()
    }

    pub(super) fn lock(&self) -> &[u8] {
        self.lock.as_bytes()
    }

    pub(super) fn wait(&self) -> &[u8] {
        self.wait.as_bytes()
    }
}

/// What stands before the content of a record, as text of fixed width, so that scripts can cut it: the version (16 hexadecimal digits), the end
/// of life and when the cookie was sent (15 digits each, milliseconds since 1970).
pub(super) struct Head {
    pub(super) version: u64,
    pub(super) ends: u64,
    pub(super) cookie_sent: u64,
}

impl Head {
    pub(super) const LENGTH: usize = 16 + 15 + 15;

    pub(super) fn write(&self) -> [u8; Self::LENGTH] {
        let mut text = [b'0'; Self::LENGTH];
        text[..16].copy_from_slice(&version_text(self.version));
        decimal(&mut text[16..31], self.ends);
        decimal(&mut text[31..], self.cookie_sent);
        text
    }

    /// The head, and the content behind it; `None` if it is no head.
    pub(super) fn read(record: &[u8]) -> Option<(Self, &[u8])> {
        let (text, content) = record.split_at_checked(Self::LENGTH)?;
        let text = std::str::from_utf8(text).ok()?;
        let version = u64::from_str_radix(text.get(..16)?, 16).ok()?;
        let (ends, cookie_sent) = (text.get(16..31)?.parse().ok()?, text.get(31..)?.parse().ok()?);
        Some((Self { version, ends, cookie_sent }, content))
    }
}

/// A version as it stands in the head.
pub(super) fn version_text(version: u64) -> [u8; 16] {
    let mut text = [0; 16];
    let mut rest = version;
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from((rest & 15) as u8)];
        rest >>= 4;
    }
    text
}

/// Fills with digits, as many as there is room for.
fn decimal(text: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Commands that are sent together.
#[derive(Default)]
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    pub(super) commands: usize,
}

impl Request {
    pub(super) fn with_room_for(arguments: &[&[u8]]) -> Self {
        let size: usize = arguments.iter().map(|word| word.len() + 8).sum();
        Self { bytes: Vec::with_capacity(size + 512), commands: 0 }
    }

    /// One command of these words.
    pub(super) fn of(words: &[&[u8]]) -> Self {
        let mut request = Self::with_room_for(words);
        request.command(words, &[]);
        request
    }

    /// Adds a command of all these words.
    pub(super) fn command(&mut self, words: &[&[u8]], more: &[&[u8]]) {
        self.commands += 1;
        self.count(b'*', words.len() + more.len());
        for word in words.iter().chain(more) {
            self.count(b'$', word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// Empty again, with its room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.commands = 0;
    }

    /// Adds what another sends.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
    }

    fn count(&mut self, kind: u8, count: usize) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_share_what_is_in_the_braces() {
        let keys = Keys::new("shop:", "abc");
        assert_eq!(
            (keys.record(), keys.lock(), keys.wait()),
            (&b"shop:{abc}"[..], &b"shop:{abc}:lock"[..], &b"shop:{abc}:wait"[..])
        );
        assert_eq!(keys.name(), "abc");
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        let head = Head { version: 0x0123_4567_89ab_cdef, ends: 1_800_000_000_123, cookie_sent: 7 };
        let mut text = head.write().to_vec();
        assert_eq!(text, b"0123456789abcdef001800000000123000000000000007");
        text.extend_from_slice(b"content");
        let (read, content) = Head::read(&text).expect("a head");
        assert_eq!((read.version, read.ends, read.cookie_sent, content), (head.version, head.ends, 7, &b"content"[..]));
        for bad in [&text[..45], b"spoiled", b"", &[b'x'; 60], &[0xff; 60]] {
            assert!(Head::read(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_command_tells_its_lengths() {
        let mut request = Request::of(&[b"GET", b"key"]);
        request.append(&Request::of(&[b"DEL", b""]));
        assert_eq!(request.bytes, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*2\r\n$3\r\nDEL\r\n$0\r\n\r\n");
        assert_eq!(request.commands, 2);
    }
}
