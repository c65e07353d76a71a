//! The text on the wire: the keys of a session, the head of its record, commands, scripts and their calls in the
//! protocol's own form. The scripts themselves are in `scripts`.
//!
//! All of it is made with nearly every request, so it is written once, into one buffer, without a value for each word.

use crate::sessions::stores::kept::Head;
use ::redis::Value;
use std::borrow::Cow;

/// The keys of one session, all on one node of a Cluster: only the part in the braces decides about that.
pub(super) struct Keys {
    /// The key of the lock, then that of the waiters.
    text: String,
    prefix: usize,
}

impl Keys {
    const LOCK: &str = ":lock";
    const WAIT: &str = ":wait";

    /// `name`: the part after the prefix, and the message to the waiters.
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        let text = [prefix, "{", name, "}", Self::LOCK, prefix, "{", name, "}", Self::WAIT].concat();
        Self { text, prefix: prefix.len() }
    }

    pub(super) fn name(&self) -> &str {
        &self.record_name()[self.prefix + 1..self.text.len() / 2 - Self::LOCK.len() - 1]
    }

    pub(super) fn record_name(&self) -> &str {
        &self.text[..self.text.len() / 2 - Self::LOCK.len()]
    }

    pub(super) fn record(&self) -> &[u8] {
        self.record_name().as_bytes()
    }

    pub(super) fn lock(&self) -> &[u8] {
        &self.text.as_bytes()[..self.text.len() / 2]
    }

    pub(super) fn wait(&self) -> &[u8] {
        &self.text.as_bytes()[self.text.len() / 2..]
    }
}

/// The head as it stands before the content of a record: text of fixed width, so that scripts can cut it. The version
/// (16 hexadecimal digits), the end of life and when the cookie was sent (15 digits each).
impl Head {
    pub(super) const LENGTH: usize = 16 + 15 + 15;
    /// Where it says when the cookie was sent.
    pub(super) const COOKIE: usize = 16 + 15;

    pub(super) fn text(&self) -> [u8; Self::LENGTH] {
        let mut text = [b'0'; Self::LENGTH];
        text[..16].copy_from_slice(&version_text(self.version));
        decimal(&mut text[16..31], self.ends);
        decimal(&mut text[31..], self.cookie_sent);
        text
    }

    /// The head, and the content behind it; `None` if it is not a head.
    pub(super) fn of_text(record: &[u8]) -> Option<(Self, &[u8])> {
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

/// The commands of one trip.
pub(super) enum Request {
    Commands(Commands),
    /// A call that can be one with others of the same script.
    Call(Call),
}

impl Request {
    /// As it is sent alone.
    pub(super) fn alone(&self) -> Cow<'_, Commands> {
        match self {
            Self::Commands(commands) => Cow::Borrowed(commands),
            Self::Call(call) => {
                let mut commands = Commands::default();
                commands.call(call);
                Cow::Owned(commands)
            }
        }
    }

    /// Its own answers, out of those to the whole trip.
    pub(super) fn own_answers(&self, answers: Vec<Value>) -> Vec<Value> {
        match self {
            Self::Commands(_) => answers,
            Self::Call(_) => answers.into_iter().flat_map(|answer| CallAnswers::of(answer).next()).collect(),
        }
    }
}

impl From<Call> for Request {
    fn from(call: Call) -> Self {
        Self::Call(call)
    }
}

impl From<Commands> for Request {
    fn from(commands: Commands) -> Self {
        Self::Commands(commands)
    }
}

/// A script and its hash.
pub(super) struct Script {
    pub(super) text: String,
    hash: String,
}

impl Script {
    pub(super) fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let hash = ::redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    fn hash(&self) -> &[u8] {
        self.hash.as_bytes()
    }

    /// A call for the keys of a session, which goes alone.
    pub(super) fn of(&'static self, keys: &Keys, arguments: &[&[u8]]) -> Request {
        let mut commands = Commands::default();
        commands.call(&Call::new(self, &[], &[keys.record(), keys.lock(), keys.wait()], arguments));
        commands.into()
    }
}

/// Commands that are sent together.
#[derive(Clone, Default)]
pub(super) struct Commands {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
}

impl Commands {
    /// One command of these words.
    pub(super) fn of(words: &[&[u8]]) -> Self {
        let mut commands = Self::with_room_for(words.iter().map(|word| word.len() + 8).sum());
        commands.add(words);
        commands
    }

    pub(super) fn with_room_for(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes + 16), count: 0 }
    }

    /// Adds a command of these words.
    pub(super) fn add(&mut self, words: &[&[u8]]) {
        self.count += 1;
        length(&mut self.bytes, b'*', words.len());
        words.iter().for_each(|word| text(&mut self.bytes, word));
    }

    /// Adds a call.
    pub(super) fn call(&mut self, call: &Call) {
        self.count += 1;
        let Call { script, shared, keys, arguments, .. } = call;
        length(&mut self.bytes, b'*', 3 + keys.count + shared.count + arguments.count);
        text(&mut self.bytes, b"EVALSHA");
        text(&mut self.bytes, script.hash());
        text(&mut self.bytes, itoa::Buffer::new().format(keys.count).as_bytes());
        [keys, shared, arguments].iter().for_each(|words| self.bytes.extend_from_slice(&words.bytes));
    }

    /// Adds the commands of `others`.
    pub(super) fn append(&mut self, others: &Self) {
        self.bytes.extend_from_slice(&others.bytes);
        self.count += others.count;
    }
}

/// A call, or several joined into one, of a script that does the same for the keys of each session and returns an
/// answer for each.
pub(super) struct Call {
    script: &'static Script,
    /// The common part of all calls, before the part of each.
    shared: Words,
    keys: Words,
    arguments: Words,
    count: usize,
}

impl Call {
    /// Maximum of calls in one. The server does nothing else during it.
    const MOST: usize = 64;

    pub(super) fn new(script: &'static Script, shared: &[&[u8]], keys: &[&[u8]], arguments: &[&[u8]]) -> Self {
        Self { script, shared: Words::of(shared), keys: Words::of(keys), arguments: Words::of(arguments), count: 1 }
    }

    /// Whether the other is in this one now.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let is_same = std::ptr::eq(self.script, other.script) && self.shared == other.shared;
        let does_join = is_same && self.count + other.count <= Self::MOST;
        if does_join {
            self.keys.append(&other.keys);
            self.arguments.append(&other.arguments);
            self.count += other.count;
        }
        does_join
    }
}

impl Clone for Call {
    fn clone(&self) -> Self {
        let (shared, keys, arguments) = (self.shared.clone(), self.keys.clone(), self.arguments.clone());
        Self { shared, keys, arguments, ..*self }
    }
}

/// The answers to calls that were joined, one after another.
pub(super) enum CallAnswers {
    Each(std::vec::IntoIter<Value>),
    /// A failure is that of all.
    Failure(Value),
}

impl CallAnswers {
    pub(super) fn of(answer: Value) -> Self {
        match answer {
            Value::Array(answers) => Self::Each(answers.into_iter()),
            answer => Self::Failure(answer),
        }
    }
}

impl Iterator for CallAnswers {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        match self {
            Self::Each(answers) => answers.next(),
            Self::Failure(answer) => Some(answer.clone()),
        }
    }
}

/// Words as they stand in a command.
#[derive(Clone, PartialEq, Eq)]
struct Words {
    bytes: Vec<u8>,
    count: usize,
}

impl Words {
    fn of(words: &[&[u8]]) -> Self {
        let size: usize = words.iter().map(|word| word.len() + 8).sum();
        let mut bytes = Vec::with_capacity(size);
        words.iter().for_each(|word| text(&mut bytes, word));
        Self { bytes, count: words.len() }
    }

    fn append(&mut self, others: &Self) {
        self.bytes.extend_from_slice(&others.bytes);
        self.count += others.count;
    }
}

fn text(bytes: &mut Vec<u8>, word: &[u8]) {
    length(bytes, b'$', word.len());
    bytes.extend_from_slice(word);
    bytes.extend_from_slice(b"\r\n");
}

fn length(bytes: &mut Vec<u8>, kind: u8, length: usize) {
    bytes.push(kind);
    bytes.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::scripts;
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
        let mut text = head.text().to_vec();
        assert_eq!(text, b"0123456789abcdef001800000000123000000000000007");
        text.extend_from_slice(b"content");
        let (read, content) = Head::of_text(&text).expect("a head");
        assert_eq!((read.version, read.ends, read.cookie_sent, content), (head.version, head.ends, 7, &b"content"[..]));
        for bad in [&text[..45], b"spoiled", b"", &[b'x'; 60], &[0xff; 60]] {
            assert!(Head::of_text(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_command_tells_its_lengths() {
        let mut commands = Commands::of(&[b"GET", b"key"]);
        commands.append(&Commands::of(&[b"DEL", b""]));
        assert_eq!(commands.bytes, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*2\r\n$3\r\nDEL\r\n$0\r\n\r\n");
        assert_eq!(commands.count, 2);
    }

    #[test]
    fn calls_of_one_script_are_joined_up_to_a_number() {
        let call = |shared: &[u8]| Call::new(&scripts::COMMIT, &[shared], &[b"{a}", b"{a}:lock"], &[b"x", b"y"]);
        let mut joined = call(b"store");
        assert!((1..Call::MOST).all(|_| joined.join(&call(b"store"))));
        assert!(!joined.join(&call(b"store")) && !call(b"store").join(&call(b"other")));
        let mut commands = Commands::default();
        commands.call(&joined);
        let sent = String::from_utf8(commands.bytes).expect("text");
        assert!(sent.starts_with(&format!("*{}\r\n", 3 + 64 * 2 + 1 + 64 * 2)), "{sent}");
        assert_eq!((commands.count, sent.matches("{a}:lock").count(), sent.matches("store").count()), (1, 64, 1));
    }

    #[test]
    fn each_call_gets_its_own_answer_and_all_get_the_failure() {
        let mut answers = CallAnswers::of(Value::Array(vec![Value::Int(0), Value::Int(2)]));
        assert_eq!([answers.next(), answers.next(), answers.next()], [Some(Value::Int(0)), Some(Value::Int(2)), None]);
        let mut failure = CallAnswers::of(Value::Nil);
        assert_eq!([failure.next(), failure.next()], [Some(Value::Nil), Some(Value::Nil)]);
    }
}
