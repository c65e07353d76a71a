//! The body of a request, wherever it is kept.

use std::{fs::File, io::Read};

/// The body of one request.
///
/// The server fills it in before a worker is lent, except for handlers that take [`Body`](super::Body): those
/// get a reader that waits for the client.
#[derive(Default)]
pub enum RequestBody {
    /// No body, or taken by an argument.
    #[default]
    None,
    /// In memory.
    Memory(Vec<u8>),
    /// Spooled to an unlinked temporary file, positioned at its start.
    File {
        /// The file.
        file: File,
        /// Its length in bytes.
        length: u64,
    },
    /// Read from the connection while the handler runs.
    Stream(Box<dyn Read + Send>),
}

impl RequestBody {
    /// The content, when it is in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::None => Some(&[]),
            Self::Memory(content) => Some(content),
            Self::File { .. } | Self::Stream(_) => None,
        }
    }

    /// How many bytes it has, when all of it is there.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Memory(content) => Some(content.len() as u64),
            Self::File { length, .. } => Some(*length),
            Self::Stream(_) => None,
        }
    }

    /// Takes the body, wherever it is kept, into memory and leaves [`RequestBody::None`]. The server has limited its
    /// size.
    ///
    /// # Errors
    /// When the file or the connection fails.
    pub fn read_whole(&mut self) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        match self.take() {
            Self::None => {}
            Self::Memory(memory) => content = memory,
            Self::File { mut file, length } => {
                content.reserve_exact(usize::try_from(length).unwrap_or(0));
                file.read_to_end(&mut content)?;
            }
            Self::Stream(mut stream) => {
                stream.read_to_end(&mut content)?;
            }
        }
        Ok(content)
    }

    /// Takes the body and leaves [`RequestBody::None`].
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Memory(content) => write!(f, "Memory({} bytes)", content.len()),
            Self::File { length, .. } => write!(f, "File({length} bytes)"),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
