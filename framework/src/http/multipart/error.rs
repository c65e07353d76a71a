//! Why a multipart body cannot be read: one variant for each rule.

use ::http::StatusCode;

/// A multipart body that breaks a rule of RFC 7578 or RFC 2046, or a limit.
///
/// The framing of the request is not in doubt: the connection can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartError {
    /// The content type is something else.
    NotMultipart,
    /// The content type has no boundary, two, or one that is empty, longer than 70 bytes (RFC 2046, section 5.1.1), or
    /// has bytes that are not visible ASCII.
    BadBoundary,
    /// The charset that the content type declares is not known.
    UnknownCharset,
    /// A boundary, or a line of a part's head, ends in LF without CR.
    BareLineFeed,
    /// A boundary is followed by something other than `--`, white space or the end of the line.
    AfterBoundary,
    /// The body ends before its last boundary.
    Unfinished,
    /// A line in the head of a part is not a name, a colon and a value, or is there twice.
    MalformedHead,
    /// The `Content-Disposition` of a part says twice how it or its file is named.
    NamedTwice,
    /// The name of a part is not valid text in the charset of the form, which is UTF-8 unless declared.
    NameNotText,
    /// A part is sent in base64, quoted-printable or the like, which RFC 7578, section 4.7, has given up.
    TransferEncoding,
    /// The head of a part is larger than the reader keeps.
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more parts than allowed.
    TooManyParts {
        /// The limit.
        limit: usize,
    },
}

impl MultipartError {
    /// The status that the client is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotMultipart | Self::UnknownCharset | Self::TransferEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyParts { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl std::fmt::Display for MultipartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the multipart body cannot be read: ")?;
        f.write_str(match self {
            Self::NotMultipart => "its content type is not `multipart/form-data`",
            Self::BadBoundary => "its content type has no boundary of 1 to 70 characters",
            Self::UnknownCharset => "its charset is not known here; send UTF-8",
            Self::BareLineFeed => "a line ends in LF without CR",
            Self::AfterBoundary => "a boundary is not followed by the end of the line or `--`",
            Self::Unfinished => "it ends before its last boundary",
            Self::MalformedHead => "a line in the head of a part is not a name, a colon and a value, or is there twice",
            Self::NamedTwice => "the head of a part names it or its file twice",
            Self::NameNotText => "the name of a part is not UTF-8",
            Self::TransferEncoding => "a part is sent in base64 or quoted-printable; send its bytes as they are",
            Self::HeadTooLarge { limit } => {
                return write!(f, "the head of a part is larger than {limit} bytes");
            }
            Self::TooManyParts { limit } => return write!(f, "it has more than {limit} parts (max_parts of the path)"),
        })
    }
}

impl std::error::Error for MultipartError {}
