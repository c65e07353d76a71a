//! The HTTP protocol, sans-IO: request heads, body framing, response heads, dates, cookies, conditions.
//!
//! Rules of this room:
//! * No socket, no clock, no thread. Bytes and the time of day come in as arguments; bytes go out.
//! * Strict by default (RFC 9110, RFC 9112). Any doubt about framing is a [`Refusal`] that ends the connection.
//! * The result never depends on how the input was split.

mod accept;
mod body;
mod cache_control;
mod charset;
mod chunked;
mod coding;
mod conditional;
mod connection_fields;
mod cookie;
mod date;
mod fields;
mod framing;
mod grammar;
mod head;
#[cfg(feature = "http2")]
mod http2_head;
mod list;
mod multipart;
#[cfg(test)]
mod noise;
mod parameters;
mod path;
#[cfg(all(test, not(any(loom, shuttle))))]
mod properties;
mod proxy_header;
mod ranges;
mod reference;
mod refusal;
mod request_line;
mod response;
mod scan;
mod span;
mod target;
mod urlencoded;
#[cfg(feature = "websocket")]
pub mod websocket;
mod weight;

pub use accept::{best_language, best_media_type};
pub use body::{BodyDecoder, BodyLimits};
pub use cache_control::{RequestDirectives, ResponseDirectives, delta_seconds};
pub(crate) use charset::{Charset, UnknownCharset};
pub use chunked::{write_chunk, write_last_chunk};
pub use coding::{Coding, best_coding};
pub use conditional::{EntityTag, Precondition, Validators};
pub(crate) use connection_fields::is_of_the_connection;
pub use cookie::cookies;
pub use date::{DateCache, FixedDate, parse_date};
pub use framing::Framing;
pub use grammar::is_token;
pub use head::{HeadLimits, RequestHead};
#[cfg(feature = "http2")]
pub(crate) use http2_head::write_http2_head;
pub use list::{list_has, list_members};
pub use multipart::{MultipartError, MultipartEvent, MultipartParser, PartHead, PartLimits, is_multipart};
pub(crate) use parameters::Parameters;
pub use path::{decode_segments, encode_segment};
pub use proxy_header::{NoProxyHeader, ProxyHeader};
pub use ranges::{ByteRanges, MAX_RANGES, MultipartFrame, content_range, unsatisfied_range};
pub use reference::{ControlCharacter, encode_reference, is_dot_segment, is_local_reference, leads_to_other_host};
pub(crate) use reference::{encode_field, is_reference};
pub use refusal::Refusal;
pub use response::{CONTINUE, Persistence, ResponseFraming, write_response_head};
pub(crate) use response::{is_the_servers, reason, write_field};
pub use target::is_authority;
pub(crate) use urlencoded::urlencoded;
