//! The trace that a request belongs to: which requests of several services go together (W3C Trace Context).
//!
//! A trace that comes with a request counts only if a trusted proxy brings it (the tool `proxy`): a stranger's would
//! put foreign numbers into the log. Otherwise the request begins one. Its numbers are made from that of the request
//! when somebody asks, so a request that nobody asks about pays nothing, and all who ask get the same.

use super::{Argument, ArgumentInfo, Arguments, HttpError, Request};
use std::fmt::{Display, Formatter};
use std::sync::OnceLock;

/// Longest `tracestate` that is passed on, in bytes (W3C Trace Context, section 3.3.1.5).
const MAX_STATE: usize = 512;

/// The trace of a request, as an argument: its text is the field `traceparent` for requests that the handler makes
/// itself.
///
/// ```
/// use kirsch::{exchange::TraceParent, prelude::*, testing::Client};
///
/// struct Shop;
///
/// #[handlers]
/// impl Shop {
///     #[expose]
///     fn stock(&self, trace: TraceParent) -> String {
///         // Send these with the request to the other service.
///         let fields = [("traceparent", trace.to_string()), ("tracestate", trace.state().to_owned())];
///         fields[0].1.clone()
///     }
/// }
///
/// let client = Client::in_process(App::new(Shop));
/// assert!(client.get("/stock").send().text().starts_with("00-"));
/// ```
///
/// The field of the request (W3C Trace Context, version 00 and what later versions have in common with it) counts if a
/// trusted proxy has brought it (the tool [`proxy`](crate::tools::Proxy)). Otherwise, and if it is not valid, the
/// request begins a trace of its own. The trace is in the access log in JSON and beside each failure (`trace`). No
/// response has it.
///
/// Kirsch records no spans. A trace that begins here is therefore not marked as sampled; one that comes in keeps its
/// mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    parent: Option<u64>,
    span: u64,
    is_sampled: bool,
    state: String,
}

/// The number of a trace: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceParent {
    /// The number of the whole trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The number of this request within the trace: the request's own number, which is also on its error page.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span
    }

    /// The number of the request that led to this one, if the trace has come with it.
    #[must_use]
    pub fn parent_id(&self) -> Option<u64> {
        self.parent
    }

    /// Whether the trace is recorded by those who came before.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The field `tracestate` for the next request: as it came, empty if it did not.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

/// The value of the field `traceparent`, for a request to another service.
impl Display for TraceParent {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

impl Display for TraceId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl<'a> Argument<'a> for TraceParent {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(arguments.request.trace_parent())
    }
}

impl Request {
    /// The trace that this request belongs to, to be passed on to other services. See [`TraceParent`].
    #[must_use]
    pub fn trace_parent(&self) -> TraceParent {
        let span = self.id().span();
        match self.incoming_trace() {
            Some(Incoming { trace, parent, is_sampled }) => {
                let state = self.head.headers_named("tracestate").map(String::from_utf8_lossy);
                let state = state.collect::<Vec<_>>().join(",");
                let state = if state.len() <= MAX_STATE && is_visible(&state) { state } else { String::new() };
                TraceParent { trace, parent: Some(parent), span, is_sampled, state }
            }
            None => {
                TraceParent { trace: self.own_trace(), parent: None, span, is_sampled: false, state: String::new() }
            }
        }
    }

    /// The number of the trace that this request belongs to.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.incoming_trace().map_or_else(|| self.own_trace(), |incoming| incoming.trace)
    }

    fn own_trace(&self) -> TraceId {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        let process = *PROCESS.get_or_init(|| u64::from_ne_bytes(crate::random::bytes()));
        // The span is not 0, so this is not either.
        TraceId(u128::from(process) << 64 | u128::from(self.id().span()))
    }

    fn incoming_trace(&self) -> Option<Incoming> {
        self.forwarded()?;
        // Not noted as read: a page that a cache keeps is the same for all traces.
        let mut values = self.head.headers_named("traceparent");
        // Two of them contradict each other.
        values.next().filter(|_| values.next().is_none()).and_then(Incoming::parse)
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[derive(Debug, PartialEq, Eq)]
struct Incoming {
    trace: TraceId,
    parent: u64,
    is_sampled: bool,
}

impl Incoming {
    /// Reads `version-trace-parent-flags`. A later version may have more behind it (W3C Trace Context, section 3.2.4).
    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (text, rest) = text.split_at_checked(55)?;
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hexadecimal(version, 2)?;
        let is_known = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let (trace, parent) = (hexadecimal(trace, 32)?, hexadecimal(parent, 16)?);
        let flags = hexadecimal(flags, 2)?;
        let is_valid = is_known && trace != 0 && parent != 0 && parts.next().is_none();
        is_valid.then(|| Self {
            trace: TraceId(trace),
            parent: u64::try_from(parent).unwrap_or(1),
            is_sampled: flags & 1 == 1,
        })
    }
}

/// So many digits in lower case.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_hexadecimal = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hexadecimal { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::RequestId;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_field_is_read() {
        let incoming = Incoming::parse(VALID.as_bytes()).unwrap();
        assert_eq!(incoming.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((incoming.parent, incoming.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        let later = VALID.replacen("00", "cc", 1);
        assert_eq!(Incoming::parse(later.as_bytes()).as_ref(), Some(&incoming));
        assert_eq!(Incoming::parse(format!("{later}-what-comes").as_bytes()).as_ref(), Some(&incoming));
    }

    #[test]
    fn a_field_that_breaks_a_rule_is_none() {
        let table = [
            String::new(),
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", "0", 1),
            format!("{VALID}-more"),
            format!("{VALID} "),
            VALID.replacen("00", "cc", 1) + "more",
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            VALID.replace("00f067aa0ba902b7", "00f067aa0ba902b"),
            VALID.replace("-01", "-0g"),
            VALID.replace("-01", "-+1"),
            VALID.replace('-', "_"),
            VALID[..54].to_owned(),
            format!("{}é", &VALID[..54]),
        ];
        for text in table {
            assert_eq!(Incoming::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_request_without_a_trace_begins_one_and_keeps_it() {
        let [one, other] = [(), ()].map(|()| {
            let mut request = Request::default();
            request.id = RequestId::next();
            request
        });
        let trace = one.trace_parent();
        assert_eq!((trace.clone(), trace.trace_id()), (one.trace_parent(), one.trace_id()));
        assert_ne!(one.trace_id(), other.trace_id());
        assert_eq!(Incoming::parse(trace.to_string().as_bytes()).map(|read| read.trace), Some(one.trace_id()));
        assert_eq!(format!("{:016x}", trace.span_id()), one.id().to_string());
    }
}
