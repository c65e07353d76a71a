//! The ticket of a failure: the facts of the debug page as JSON, within a bound.

use super::secrets::shortened;
use super::trace::{HookRun, Outcome};
use super::{FrameWithSource, HandlerNote, Report};
use crate::exchange::{Exchange, Request};
use crate::tickets::{FailureKind, MAX_TICKET, Ticket};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The version of the framework.
pub(crate) const VERSION: &str = concat!("kirsch ", env!("CARGO_PKG_VERSION"));

/// What a ticket that is too long does without, in this order.
const DISPENSABLE: [&str; 6] = ["fields", "parameters", "backtrace", "hooks", "causes", "tools"];

/// Fills in a ticket.
pub(super) fn write(report: &Report, kind: &FailureKind, time: String, request: &Request) -> Ticket {
    let mut facts = facts(report, kind, request);
    facts.insert("time".to_owned(), json!(time));
    let mut text = format!("{:#}\n", Value::Object(facts.clone()));
    for part in DISPENSABLE {
        if text.len() <= MAX_TICKET {
            break;
        }
        facts.insert(part.to_owned(), json!("left out: the ticket would be too long"));
        text = format!("{:#}\n", Value::Object(facts.clone()));
    }
    let message = report.failure().and_then(|failure| failure.causes.first()).map(|cause| shortened(cause));
    Ticket { number: request.id(), time, message: message.unwrap_or_default(), text }
}

fn facts(report: &Report, kind: &FailureKind, request: &Request) -> Map<String, Value> {
    let pairs = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(name, value)| json!({"name": shortened(name), "value": value}));
        pairs.collect::<Value>()
    };
    let FailureKind { error, place, route } = kind;
    let mut facts = json!({
        "number": request.id().to_string(),
        "trace": request.trace_id().to_string(),
        "version": VERSION,
        "error": error,
        "place": place,
        "route": route,
        "method": request.method().as_str(),
        "request": shortened(&report.request_line),
        "section": report.section,
        "tools": report.tools,
        "fields": pairs(&report.fields),
        "parameters": pairs(&report.parameters),
    });
    if let Some(HandlerNote { name, arguments, .. }) = &report.handler {
        facts["handler"] = json!(name);
        facts["arguments"] = json!(arguments);
    }
    if let Some(failure) = report.failure() {
        facts["failed_in"] = json!(failure.place);
        facts["causes"] = failure.causes.iter().map(|cause| json!(shortened(cause))).collect();
        facts["hooks"] = failure.hooks.iter().map(told).collect();
        let steps = failure.backtrace.iter().map(|FrameWithSource { frame, .. }| {
            let place = frame.place.as_deref().unwrap_or("?");
            json!(format!("{} at {place}", frame.function))
        });
        facts["backtrace"] = steps.collect();
    }
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// A hook that ran, in one line.
fn told(run: &HookRun) -> Value {
    let name = match run.tool {
        Some(tool) => format!("{:?} {}: {tool}", run.point, run.priority),
        None => "the handler".to_owned(),
    };
    let after = |word: &str, lasted: Duration| format!("{name}, {word} {lasted:.1?}");
    json!(match run.outcome {
        Outcome::Unfinished | Outcome::Ran => name,
        Outcome::Failed(lasted) => after("failed after", lasted),
        Outcome::Answered(lasted) => after("answered after", lasted),
        Outcome::Done(lasted) => after("took", lasted),
    })
}

/// The ticket of a failure, for its debug page.
#[derive(Clone, Debug)]
pub(in crate::lifecycle) struct TicketNote {
    /// Whether it is written down; else the failure was only counted.
    pub(in crate::lifecycle) is_kept: bool,
    /// The address of the status page for tickets, where there is one.
    pub(in crate::lifecycle) page: Option<String>,
}

impl TicketNote {
    /// The address of the page for this failure.
    pub(super) fn address(&self, exchange_number: impl std::fmt::Display) -> Option<String> {
        let page = self.page.as_ref()?;
        Some(if self.is_kept { format!("{page}/{exchange_number}") } else { page.clone() })
    }
}

/// The address of the pages for tickets below `section`, as this request's client has to write it.
pub(in crate::lifecycle) fn page_below(section: &str, exchange: &Exchange) -> String {
    let segments = section.split('/').filter(|segment| !segment.is_empty());
    let section: String = segments.flat_map(|segment| ["/", segment]).collect();
    format!("{}{section}/tickets", exchange.request.prefix())
}
