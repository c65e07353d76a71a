//! Why the server refuses a request before any handler saw it: one variant for each rule.
//!
//! One table below holds every rule: its variant, its status, the section that it comes from, and its sentence, which
//! is for visitors. A new rule is a new row. The name of the setting that raises a limit is for the operator, so it
//! stands apart. The form of the error page (HTML, JSON, text) is not decided here.

use ::http::StatusCode;

macro_rules! refusals {
    ($(
        $(#[$documentation:meta])+
        $name:ident $({ $( $(#[$field_documentation:meta])+ $field:ident: $kind:ty ),+ $(,)? })?
            => $status:ident, $section:literal, $text:literal;
    )+) => {
        /// A request that breaks a rule of HTTP or a limit of the server.
        ///
        /// The connection always ends after a refusal: the rest of the stream cannot be trusted.
        ///
        /// ```
        /// use kirsch::http::Refusal;
        ///
        /// let refusal = Refusal::HeadTooLarge { limit: 32768 };
        /// assert_eq!(refusal.status(), 431);
        /// assert_eq!(refusal.to_string(), "the request head is larger than 32768 bytes");
        /// assert_eq!(refusal.setting(), Some("server.limits.head"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Refusal {
            $( $(#[$documentation])+ $name $({ $( $(#[$field_documentation])+ $field: $kind ),+ })?, )+
        }

        impl Refusal {
            /// The status that the client is answered with.
            #[must_use]
            pub fn status(&self) -> StatusCode {
                match self {
                    $( Self::$name { .. } => StatusCode::$status, )+
                }
            }

            /// Where the rule is written down, such as `RFC 9112, section 3.2`; empty for limits of the server's own.
            #[must_use]
            pub fn section(&self) -> &'static str {
                match self {
                    $( Self::$name { .. } => $section, )+
                }
            }
        }

        impl std::fmt::Display for Refusal {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $( Self::$name $({ $($field),+ })? => {
                        // A sentence need not tell all that the refusal knows.
                        $( $( let _ = $field; )+ )?
                        write!(f, $text)
                    } )+
                }
            }
        }
    };
}

refusals! {
    /// The request line is not `method SP target SP HTTP/1.x`.
    MalformedRequestLine => BAD_REQUEST, "RFC 9112, section 3",
        "the request line is not a method, a target and a version with one space between them";
    /// The request line is longer than the limit.
    RequestLineTooLong {
        /// The limit in bytes.
        limit: usize,
    } => URI_TOO_LONG, "RFC 9110, section 15.5.15",
        "the request line is longer than {limit} bytes";
    /// The version is well-formed but neither `HTTP/1.0` nor `HTTP/1.1`.
    UnsupportedVersion => HTTP_VERSION_NOT_SUPPORTED, "RFC 9110, section 15.6.6",
        "the protocol version is neither HTTP/1.0 nor HTTP/1.1";
    /// The target has none of the forms that the method allows, or bytes that are not visible ASCII.
    MalformedTarget => BAD_REQUEST, "RFC 9112, section 3.2",
        "the request target is neither a path that starts with `/` nor an http or https address, in visible ASCII";
    /// The target has a fragment (`#`), which is never sent.
    FragmentInTarget => BAD_REQUEST, "RFC 9112, section 3.2",
        "the request target contains a fragment (`#`)";
    /// The target `*` goes with OPTIONS only.
    AsteriskWithoutOptions => BAD_REQUEST, "RFC 9112, section 3.2.4",
        "the request target `*` is only for OPTIONS";
    /// CONNECT asks for a tunnel, and this server is not a proxy.
    ConnectRefused => BAD_REQUEST, "RFC 9110, section 9.3.6",
        "CONNECT is only for proxies, which this server is not";

    /// The head is larger than the limit.
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    } => REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 6585, section 5",
        "the request head is larger than {limit} bytes";
    /// The head has more fields than the limit.
    TooManyFields {
        /// The limit.
        limit: usize,
    } => REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 6585, section 5",
        "the request head has more than {limit} fields";
    /// A line ends in LF without CR.
    BareLineFeed => BAD_REQUEST, "RFC 9112, section 2.2",
        "a line of the request head ends in LF without CR";
    /// A CR stands alone within a line.
    BareCarriageReturn => BAD_REQUEST, "RFC 9112, section 2.2",
        "the request head contains a CR that is not followed by LF";
    /// A field line has no colon, an empty name, or a name that is not a token.
    MalformedFieldName => BAD_REQUEST, "RFC 9110, section 5.1",
        "a field line has no name, or its name contains other than letters, digits and !#$%&'*+-.^_`|~";
    /// White space between a field name and its colon.
    SpaceBeforeColon => BAD_REQUEST, "RFC 9112, section 5.1",
        "a field line has white space between its name and the colon";
    /// A field line starts with white space (obsolete line folding).
    FoldedField => BAD_REQUEST, "RFC 9112, section 5.2",
        "a field line starts with white space (obsolete line folding)";
    /// A field value contains a control byte other than HTAB.
    ControlByteInField => BAD_REQUEST, "RFC 9110, section 5.5",
        "a field value contains a control byte";

    /// HTTP/1.1 without Host, or with an empty one.
    MissingHost => BAD_REQUEST, "RFC 9112, section 3.2",
        "the Host field is missing or empty";
    /// More than one Host.
    RepeatedHost => BAD_REQUEST, "RFC 9112, section 3.2",
        "there is more than one Host field";
    /// Host, or the authority of the target, is not `host` or `host:port`.
    MalformedHost => BAD_REQUEST, "RFC 9110, section 7.2",
        "the host is not a name or an address with an optional port";
    /// Content-Type fields that contradict each other. Equal ones do no harm.
    ContradictingContentTypes => BAD_REQUEST, "RFC 9110, section 8.3",
        "there are Content-Type fields with different values";
    /// Content-Length is not one number of 1 to 19 digits.
    MalformedContentLength => BAD_REQUEST, "RFC 9110, section 8.6",
        "Content-Length is not one number of 1 to 19 decimal digits";
    /// More than one Content-Length, even with equal values.
    RepeatedContentLength => BAD_REQUEST, "RFC 9112, section 6.3",
        "there is more than one Content-Length";
    /// Transfer-Encoding together with Content-Length.
    TransferEncodingWithContentLength => BAD_REQUEST, "RFC 9112, section 6.1",
        "there are both Transfer-Encoding and Content-Length";
    /// More than one Transfer-Encoding.
    RepeatedTransferEncoding => BAD_REQUEST, "RFC 9112, section 6.1",
        "there is more than one Transfer-Encoding field";
    /// Transfer-Encoding in an HTTP/1.0 request.
    TransferEncodingInHttp10 => BAD_REQUEST, "RFC 9112, section 6.1",
        "an HTTP/1.0 request has a Transfer-Encoding";
    /// Transfer codings before `chunked`, which the server does not know.
    UnsupportedTransferCoding => NOT_IMPLEMENTED, "RFC 9112, section 6.1",
        "the transfer coding is not exactly `chunked`";
    /// The last transfer coding is not `chunked`, or `chunked` is there twice: the end of the body is not known.
    LastCodingNotChunked => BAD_REQUEST, "RFC 9112, section 6.3",
        "the last transfer coding is not `chunked`, or it is there twice";
    /// An expectation other than `100-continue`.
    UnknownExpectation => EXPECTATION_FAILED, "RFC 9110, section 10.1.1",
        "the Expect field asks for something other than 100-continue";

    /// A `%` in the path without two hexadecimal digits.
    BadPercentEncoding => BAD_REQUEST, "RFC 3986, section 2.1",
        "the path contains a `%` that is not followed by two hexadecimal digits";
    /// A NUL in the decoded path.
    NulInPath => BAD_REQUEST, "RFC 3986, section 7.3",
        "the path contains a NUL";
    /// A path segment that is not UTF-8 after decoding.
    PathNotUtf8 => BAD_REQUEST, "RFC 3987, section 3.2",
        "a segment of the path is not UTF-8 after decoding";

    /// A chunk does not start with 1 to 16 hexadecimal digits and CRLF or `;`.
    MalformedChunkSize => BAD_REQUEST, "RFC 9112, section 7.1",
        "a chunk does not start with 1 to 16 hexadecimal digits followed by CRLF or `;`";
    /// A chunk extension is not `;name`, `;name=token` or `;name="text"`.
    MalformedChunkExtension => BAD_REQUEST, "RFC 9112, section 7.1.1",
        "a chunk extension is not a name, alone or with a token or a quoted string as its value";
    /// More bytes of chunk extensions in one body than the server reads.
    ChunkExtensionsTooLarge {
        /// The limit in bytes, for all chunks of one body together.
        limit: u64,
    } => BAD_REQUEST, "RFC 9112, section 7.1.1",
        "the chunk extensions of the request body are larger than {limit} bytes";
    /// The content of a chunk is not followed by CRLF.
    MalformedChunkEnd => BAD_REQUEST, "RFC 9112, section 7.1",
        "the content of a chunk is not followed by CRLF";
    /// A trailer field breaks the rules of fields.
    MalformedTrailer => BAD_REQUEST, "RFC 9112, section 7.1.2",
        "a trailer field is not a name, a colon and a value without control bytes";
    /// The trailer section is larger than the server reads.
    TrailersTooLarge {
        /// The limit in bytes.
        limit: u64,
    } => REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 6585, section 5",
        "the trailer section is larger than {limit} bytes";
    /// The trailer section has more fields than the server reads.
    TooManyTrailers {
        /// The limit.
        limit: u32,
    } => REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 6585, section 5",
        "the trailer section has more than {limit} fields";

    /// The body is larger than the limit of its path.
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    } => PAYLOAD_TOO_LARGE, "RFC 9110, section 15.5.14",
        "the request body is larger than {limit} bytes";
    /// The client ended the connection before the body was complete.
    IncompleteBody => BAD_REQUEST, "RFC 9112, section 8",
        "the connection ended within the request body";
    /// The handler wanted more of the body than the client has sent.
    BodyTooShort => BAD_REQUEST, "RFC 9110, section 15.5.1",
        "the request body is shorter than what the page reads";
    /// The disk has no room for the body of the request.
    NoRoomForBody => INSUFFICIENT_STORAGE, "RFC 4918, section 11.5",
        "the server has no room for the request body";
    /// All request bodies together are as large as they may be.
    NoRoomForMore => SERVICE_UNAVAILABLE, "RFC 9110, section 15.6.4",
        "the server has as much to read as it can hold; send the request again in a few seconds";
    /// The temporary file for the body of the request cannot be written.
    BodyNotKept => INTERNAL_SERVER_ERROR, "RFC 9110, section 15.6.1",
        "the server could not keep the request body";
    /// The server stops while the handler waits for the body.
    Stopping => SERVICE_UNAVAILABLE, "RFC 9110, section 15.6.4",
        "the server is stopping";
    /// The client did not send what it promised in time.
    TooSlow {
        /// The setting that holds the deadline.
        setting: &'static str,
    } => REQUEST_TIMEOUT, "RFC 9110, section 15.5.9",
        "the client did not send the request in time";
    /// The request came without encryption to an address where there must be some.
    NotEncrypted {
        /// Whether the client is sent on to the encrypted address.
        redirects: bool,
    } => BAD_REQUEST, "RFC 9110, section 4.2.2",
        "this address speaks https only";
    /// No worker became free in time, or the queue is full.
    Overloaded => SERVICE_UNAVAILABLE, "RFC 9110, section 15.6.4",
        "no worker became free in time";
}

impl Refusal {
    /// The setting that the operator can change, for limits: visitors need not read its name.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        Some(match self {
            Self::RequestLineTooLong { .. } => "server.limits.request_line",
            Self::HeadTooLarge { .. } => "server.limits.head",
            Self::TooManyFields { .. } => "server.limits.fields",
            Self::BodyTooLarge { .. } => "max_body",
            Self::TooSlow { setting } => setting,
            Self::Overloaded => "server.threads, server.queue, server.queue_timeout",
            _ => return None,
        })
    }

    /// The `Retry-After` of a 503, in seconds: when it is worth to try again.
    pub(crate) fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Overloaded => Some("1"),
            // Others must end first; those that never would are given up after `body_timeout`.
            Self::NoRoomForMore => Some("10"),
            _ => None,
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_its_value_and_apart_from_it_its_setting() {
        let text = Refusal::RequestLineTooLong { limit: 8192 }.to_string();
        assert_eq!(text, "the request line is longer than 8192 bytes");
        assert_eq!(Refusal::RequestLineTooLong { limit: 8192 }.setting(), Some("server.limits.request_line"));
        assert_eq!(Refusal::TooSlow { setting: "server.head_timeout" }.setting(), Some("server.head_timeout"));
    }

    #[test]
    fn each_limit_has_its_own_status() {
        assert_eq!(Refusal::RequestLineTooLong { limit: 1 }.status(), 414);
        assert_eq!(Refusal::HeadTooLarge { limit: 1 }.status(), 431);
        assert_eq!(Refusal::TooManyFields { limit: 1 }.status(), 431);
        assert_eq!(Refusal::BodyTooLarge { limit: 1 }.status(), 413);
    }
}
