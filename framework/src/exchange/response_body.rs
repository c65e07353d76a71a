//! The content of a response: in memory, in a file, or still to be made.
//!
//! How content is sent depends on where it is: small bytes behind the head, large ones from where they are, a part of a
//! file by the kernel, a stream chunk by chunk. Its length, if known, is known before the head is written.

use super::{Error, Push, Stream};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The content of a response.
#[derive(Debug, Default)]
pub enum ResponseBody {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// Bytes made for this response.
    Bytes(Vec<u8>),
    /// Bytes that several responses share, such as those of a cache. They are never copied into a `Vec`.
    Shared(bytes::Bytes),
    /// A part of an open file.
    File(FileBody),
    /// Chunks made one by one while they are sent.
    Stream(Stream),
    /// Chunks that come when there is news; nothing is held while there is none.
    Push(Box<dyn Push>),
}

impl ResponseBody {
    /// The bytes, unless the body is a file, a stream or a push.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Static(content) => Some(content),
            Self::Bytes(content) => Some(content),
            Self::Shared(content) => Some(content),
            Self::File(_) | Self::Stream(_) | Self::Push(_) => None,
        }
    }

    /// Whether the content is made while it is sent, after the handler and its hooks have ended.
    #[must_use]
    pub fn is_made_later(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Push(_))
    }

    /// The length in bytes, unless the body is a push, or a stream that has not promised one.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.length()),
            Self::Stream(stream) => stream.length(),
            bytes => bytes.as_bytes().map(|content| content.len() as u64),
        }
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(content: Vec<u8>) -> Self {
        Self::Bytes(content)
    }
}

impl From<String> for ResponseBody {
    fn from(content: String) -> Self {
        Self::Bytes(content.into_bytes())
    }
}

impl From<&'static str> for ResponseBody {
    fn from(content: &'static str) -> Self {
        Self::Static(content.as_bytes())
    }
}

impl From<bytes::Bytes> for ResponseBody {
    fn from(content: bytes::Bytes) -> Self {
        Self::Shared(content)
    }
}

impl From<FileBody> for ResponseBody {
    fn from(file: FileBody) -> Self {
        Self::File(file)
    }
}

impl From<Stream> for ResponseBody {
    fn from(stream: Stream) -> Self {
        Self::Stream(stream)
    }
}

impl From<Box<dyn Push>> for ResponseBody {
    fn from(push: Box<dyn Push>) -> Self {
        Self::Push(push)
    }
}

/// A part of an open file as the content of a response, sent with its length and without passing through the program's
/// memory.
///
/// The file is read at offsets of its own: its position does not matter and does not change, so one open file may serve
/// any number of responses at once. A file that turns out shorter than promised breaks the connection, so the client
/// can tell that something is missing. Of one that has grown only the promised part is sent.
///
/// ```
/// use kirsch::{FileBody, prelude::*, testing::Client};
/// use std::{fs::File, sync::Arc};
///
/// struct Manifest;
///
/// #[handlers]
/// impl Manifest {
///     #[expose]
///     fn whole(&self) -> kirsch::Result<FileBody> {
///         Ok(FileBody::whole(File::open("Cargo.toml")?)?)
///     }
///
///     #[expose]
///     fn start(&self) -> kirsch::Result<FileBody> {
///         Ok(FileBody::range(Arc::new(File::open("Cargo.toml")?), 0..9))
///     }
/// }
///
/// let client = Client::in_process(App::new(Manifest));
/// client.get("/whole").send().assert_contains("name = \"kirsch\"");
/// client.get("/start").send().assert_text("[package]").assert_header("content-length", "9");
/// ```
#[derive(Clone, Debug)]
pub struct FileBody {
    file: Arc<File>,
    offset: u64,
    length: u64,
}

/// How much of a file is read at a time.
const PIECE: usize = 64 * 1024;

impl FileBody {
    /// All of a file, as long as it is now.
    ///
    /// # Errors
    /// When its length cannot be read; [`InvalidInput`](io::ErrorKind::InvalidInput) when it is not a regular file: a
    /// directory or a pipe has no length.
    pub fn whole(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "only a regular file can be sent as one"));
        }
        Ok(Self { file: Arc::new(file), offset: 0, length: metadata.len() })
    }

    /// The bytes of `range` of a regular file that is at least that long.
    #[must_use]
    pub fn range(file: Arc<File>, range: Range<u64>) -> Self {
        Self { file, offset: range.start, length: range.end.saturating_sub(range.start) }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where in the file the content starts, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How long the content is, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The content without its first `count` bytes.
    pub(crate) fn skip(&self, count: u64) -> Self {
        let count = count.min(self.length);
        Self { file: self.file.clone(), offset: self.offset + count, length: self.length - count }
    }

    /// Fills `buffer` from `position` of the content on.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.offset.saturating_add(position))
    }

    /// The content as a stream of this length: for code that changes it on its way, such as a compressor. Reads up to
    /// 64 KiB at a time. Fails when the file has become shorter.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        let Self { file, offset, length } = self;
        let end = offset.saturating_add(length);
        let mut position = offset;
        let pieces = std::iter::from_fn(move || {
            if position == end {
                return None;
            }
            let most = usize::try_from(end - position).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; most];
            let outcome = read_at(&file, &mut piece, position);
            if let Ok(length) = outcome {
                piece.truncate(length);
                position += length as u64;
            }
            Some(outcome.map(|_| piece))
        });
        Stream::fallible(pieces).with_length(length)
    }
}

/// Reads what is there at `position`, at least one byte.
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> Result<usize, Error> {
    loop {
        match file.read_at(buffer, position) {
            Ok(0) => return Err(Error::unexpected(SHORTENED)),
            Ok(length) => return Ok(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

const SHORTENED: &str = "the file became shorter while it was sent";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("room in the temporary directory");
        file
    }

    fn content(body: FileBody) -> Result<Vec<u8>, Error> {
        body.into_stream().collect::<Result<Vec<_>, _>>().map(|pieces| pieces.concat())
    }

    #[test]
    fn a_whole_file_is_as_long_as_it_is_now() {
        let body = FileBody::whole(file(&[7; 100_000])).unwrap();
        assert_eq!((body.offset(), body.length()), (0, 100_000));
        assert_eq!(ResponseBody::from(body.clone()).length(), Some(100_000));
        assert_eq!(content(body).unwrap(), [7; 100_000]);
    }

    #[test]
    fn a_range_is_read_wherever_the_position_of_the_file_is() {
        let body = FileBody::range(Arc::new(file(b"0123456789")), 3..7);
        assert_eq!(content(body.clone()).unwrap(), b"3456");
        assert_eq!(content(body).unwrap(), b"3456");
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        #[expect(clippy::reversed_empty_ranges, reason = "that is the test")]
        let body = FileBody::range(Arc::new(file(b"0123")), 3..1);
        assert_eq!(content(body).unwrap(), b"");
    }

    #[test]
    fn a_file_that_grew_is_sent_as_promised_and_one_that_shrank_fails() {
        let open = file(b"0123456789");
        let body = FileBody::whole(open.try_clone().unwrap()).unwrap();
        open.set_len(20).unwrap();
        assert_eq!(content(body.clone()).unwrap(), b"0123456789");
        open.set_len(4).unwrap();
        let mut stream = body.into_stream();
        assert_eq!(stream.next().unwrap().unwrap(), b"0123");
        assert!(stream.next().unwrap().is_err());
        assert!(stream.next().is_none());
    }

    #[test]
    fn a_directory_is_no_body() {
        let directory = File::open("/").unwrap();
        assert_eq!(FileBody::whole(directory).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn shared_bytes_are_not_copied() {
        let content = bytes::Bytes::from(vec![1; 1000]);
        let body = ResponseBody::from(content.clone());
        assert_eq!(body.as_bytes().unwrap().as_ptr(), content.as_ptr());
        assert_eq!(body.length(), Some(1000));
    }
}
