//! The debug page: everything that a developer wants to know about a failure, in the browser.
//!
//! It is on where the setting `debug_page` says so, and then shown only to requests that bring the key of the process
//! ([`is_shown_to`]); all other clients get the usual page. Where it is off nothing of it runs: the hooks of a plan are
//! wrapped while the plan is built ([`trace`]), and a report is put together when an error page is made. It shows an
//! unexpected error or a panic with everything around it, and for 404 and 405 without a page of the application's own
//! the routes near the path.
//!
//! The facts are gathered here, for tickets as well; `html.rs`, `text.rs` and `ticket.rs` write them, `key.rs` has the
//! key, `secrets.rs` masks, `source.rs` reads backtraces and places.

mod html;
pub(crate) mod key;
mod secrets;
mod source;
mod text;
mod ticket;
mod trace;

use super::backtrace::captured;
use super::{ErrorPage, HookPoint, Plan};
use crate::exchange::{Error, ErrorInText, ErrorKind, Exchange, HttpError, Request};
use crate::logs;
use crate::panics::Panicked;
use crate::publish::{NodeRef, Route, named_segments, route_of, routes, same_segment, unexposed};
use crate::suggestion::distance;
use crate::tickets::{FailureKind, Ticket};
use ::http::StatusCode;
use secrets::masked;
use source::{AROUND, Frame, FrameWithSource, Place};
pub(crate) use ticket::VERSION;
pub(super) use ticket::{TicketNote, page_below};
pub(crate) use trace::FailedHook;
use trace::{HookRun, Trace, untraced};

/// Facts of a plan for the page that the plan does not keep itself.
#[derive(Debug)]
pub(crate) struct DebugNotes {
    /// The settings as they would be written in a file.
    settings: Vec<(&'static str, String)>,
}

impl Plan {
    /// Watches the hooks, and notes the facts for the page. The last step of building a plan.
    pub(crate) fn prepare_debug_page(&mut self, settings: Vec<(&'static str, String)>) {
        self.debug = Some(Box::new(DebugNotes { settings }));
        trace::watch(&mut self.hooks);
        self.hooks[HookPoint::OnStartResource as usize].insert(0, key::offer("debug_page"));
    }
}

/// The program's own steps in a backtrace, each with its place if it is known.
pub(super) fn steps(backtrace: &std::backtrace::Backtrace) -> Vec<String> {
    let told = |Frame { function, place, .. }: Frame| match place {
        Some(place) => format!("{function} at {place}"),
        None => function,
    };
    source::frames(backtrace).into_iter().map(told).collect()
}

/// Whether a page for developers may be shown: to a request with the key, and to the test client in process, which is
/// the developer's own program.
pub(crate) fn is_shown_to(exchange: &Exchange) -> bool {
    exchange.course.is_developers || key::is_brought_by(&exchange.request)
}

/// Everything on one page.
#[derive(Debug)]
pub(super) struct Report {
    /// The section that has the page on.
    section: String,
    request_line: String,
    fields: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    /// The handler: `Pages::read`, and the pattern of its path.
    handler: Option<HandlerNote>,
    tools: String,
    settings: Vec<(&'static str, String)>,
    about: About,
    /// Where tickets are written.
    pub(super) ticket: Option<TicketNote>,
}

#[derive(Debug)]
struct HandlerNote {
    name: String,
    /// `GET, HEAD /read/{name}`, where it is known.
    route: Option<String>,
    arguments: String,
}

/// The subject of the page.
#[derive(Debug)]
enum About {
    Failure(Failure),
    Routes {
        /// The routes at the path.
        found: String,
        /// The routes like the path, the most similar first.
        near: Vec<Route>,
        all: Vec<Route>,
    },
}

#[derive(Debug)]
struct Failure {
    /// The error and its causes, from the outside in.
    causes: Vec<String>,
    /// The part that failed, as `the hook of `auth` at BeforeHandler`.
    place: String,
    source: Option<Place>,
    backtrace: Vec<FrameWithSource>,
    hooks: Vec<HookRun>,
}

impl Report {
    /// About an unexpected error. No file is read.
    pub(super) fn of_failure(
        plan: &Plan,
        root: &NodeRef,
        exchange: &mut Exchange,
        error: &Error,
        failed: Option<FailedHook>,
    ) -> Self {
        // The failure may have come before anything asked for the parameters.
        let _ = exchange.request.decode_parameters();
        let (place, hooks) = match exchange.values.get::<Trace>() {
            Some(trace) => (trace.failed_place(), trace.runs_until_now()),
            None => untraced(plan, exchange, failed),
        };
        let mut causes = logs::chain(error);
        if let Some(panic) = panicked(error) {
            causes[0] = format!("panicked: {}", panic.message);
        }
        let parameters = parameters(root, exchange);
        let named = || parameters.iter().map(|(name, value)| (&**name, *value));
        let causes = causes.into_iter().map(|cause| secrets::without_secrets(cause, named())).collect();
        let backtrace = captured(error).map(source::frames).unwrap_or_default();
        let backtrace = backtrace.into_iter().map(FrameWithSource::new).collect();
        let failure = Failure { causes, place, source: place_of(error), backtrace, hooks };
        Self::new(plan, root, exchange, About::Failure(failure))
    }

    /// Reads the lines around each place: for the page, which a developer sees.
    pub(super) fn read_sources(&mut self) {
        if let About::Failure(failure) = &mut self.about {
            failure.source.iter_mut().for_each(|place| place.read(AROUND));
            failure.backtrace.iter_mut().for_each(FrameWithSource::read);
        }
    }

    /// The same for a file.
    pub(super) fn to_ticket(&self, kind: &FailureKind, time: String, request: &Request) -> Ticket {
        ticket::write(self, kind, time, request)
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.about {
            About::Failure(failure) => Some(failure),
            About::Routes { .. } => None,
        }
    }

    /// About a path that leads nowhere, or does not answer the method.
    pub(super) fn of_routes(plan: &Plan, root: &NodeRef, exchange: &mut Exchange, error: &HttpError) -> Self {
        let _ = exchange.request.decode_parameters();
        let all = routes(root);
        let segments: Vec<_> = exchange.request.segments().collect();
        let near = near(&all, &segments);
        let has_run = exchange.values.get::<Trace>().is_some_and(Trace::handler_has_run);
        let found = match (exchange.trail.handler(), has_run) {
            (Some(_), true) if error.is_of_argument => {
                "A handler was found, but it was not called: one of its arguments could not be made of the request."
                    .to_owned()
            }
            (Some(_), true) => {
                "A handler was found and has given this answer itself, as it does with `None` and `Error::not_found()`."
                    .to_owned()
            }
            (Some(_), false) => {
                "A handler was found, but a tool has given this answer before it was called.".to_owned()
            }
            (None, _) if error.status == StatusCode::METHOD_NOT_ALLOWED => {
                "The path is right; it answers other methods.".to_owned()
            }
            (None, _) => match unexposed(root).into_iter().find(|(path, _)| is_at(path, &segments)) {
                Some((_, method)) => {
                    format!(
                        "The method `{method}` is not exposed: write `#[expose]` above it to make it the page of this path."
                    )
                }
                None => "No handler is at this path.".to_owned(),
            },
        };
        Self::new(plan, root, exchange, About::Routes { found, near, all })
    }

    fn new(plan: &Plan, root: &NodeRef, exchange: &Exchange, about: About) -> Self {
        let request = &exchange.request;
        let query = if request.query().is_some() { "?…" } else { "" };
        let version = request.version();
        let fields = request
            .headers()
            .map(|(name, value)| (name.to_owned(), secrets::masked_field(name, &String::from_utf8_lossy(value))));
        let in_path = named_segments(root, &exchange.trail, request.segments().len());
        let parameters = parameters(root, exchange).into_iter().take(MAX_PARAMETERS);
        let parameters = parameters.map(|(name, value)| {
            let value = masked(&name, value);
            (name, value)
        });
        let handler = exchange.trail.handler().map(|handler| {
            let route = route_of(root, &exchange.trail);
            let arguments: Vec<_> = handler.arguments.iter().map(|argument| argument.name).collect();
            HandlerNote {
                name: route.as_ref().map_or_else(
                    || handler.name.to_string(),
                    |route| format!("{}::{}", route.type_name, route.handler),
                ),
                route: route.map(|route| format!("{} {}", route.methods.allow(), route.path)),
                arguments: arguments.join(", "),
            }
        });
        Self {
            section: plan.section.clone(),
            request_line: format!("{} {}{query} {version:?}", request.method(), masked_path(request, &in_path)),
            fields: fields.collect(),
            parameters: parameters.collect(),
            handler,
            tools: plan.tools.join(", "),
            settings: plan.debug.as_ref().map(|notes| notes.settings.clone()).unwrap_or_default(),
            about,
            ticket: None,
        }
    }

    pub(super) fn html(&self, page: &ErrorPage<'_>) -> String {
        html::write(self, page)
    }

    pub(super) fn text(&self, page: &ErrorPage<'_>) -> String {
        text::write(self, page)
    }
}

/// The kind of a failure: with what is the same for all of its requests.
pub(super) fn kind_of(
    plan: &Plan,
    root: &NodeRef,
    exchange: &Exchange,
    error: &Error,
    failed: Option<FailedHook>,
) -> FailureKind {
    let kind = if panicked(error).is_some() { "panic" } else { error.type_name() };
    let route = route_of(root, &exchange.trail).map(|route| route.path);
    let handler = || exchange.trail.handler().map(|handler| handler.name.to_string());
    FailureKind {
        error: kind.to_owned(),
        place: place_of(error).map_or_else(|| untraced(plan, exchange, failed).0, |place| place.text),
        route: route.or_else(handler).unwrap_or_else(|| "no page".to_owned()),
    }
}

fn panicked(error: &Error) -> Option<&Panicked> {
    match error.kind() {
        ErrorKind::Unexpected(error) => error.downcast_ref(),
        _ => None,
    }
}

/// Where in the program, or in a text that it has read.
fn place_of(error: &Error) -> Option<Place> {
    let ErrorKind::Unexpected(cause) = error.kind() else { return None };
    let text = cause.downcast_ref::<ErrorInText>().and_then(|error| error.place.as_ref());
    match (text, panicked(error)) {
        (Some(place), _) => Some(Place::in_text(place)),
        (None, Some(panic)) => panic.place.as_deref().and_then(Place::parse),
        (None, None) => error.place().and_then(|place| Place::parse(&place.to_string())),
    }
}

/// The parameters of path, query and form, as they came.
fn parameters<'e>(root: &NodeRef, exchange: &'e Exchange) -> Vec<(String, &'e str)> {
    let request = &exchange.request;
    let in_path = named_segments(root, &exchange.trail, request.segments().len()).into_iter();
    let of_path = in_path.map(|(name, index)| (name, request.segment(index)));
    of_path.chain(request.all_parameters().map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The path as it was sent, unless it holds a secret: then by its decoded segments, the secret ones masked.
fn masked_path(request: &Request, named: &[(String, usize)]) -> String {
    let is_secret = |index: usize| named.iter().any(|(name, of)| *of == index && secrets::is_secret(name));
    if !named.iter().any(|(_, index)| is_secret(*index)) {
        return request.path().to_owned();
    }
    let shown = request.segments().enumerate().map(|(index, segment)| {
        let segment = if is_secret(index) { secrets::MASK } else { segment };
        format!("/{segment}")
    });
    shown.collect()
}

const MAX_PARAMETERS: usize = 200;
/// Maximum of routes that are listed as near.
const MAX_NEAR: usize = 12;

/// Whether a path begins as a pattern says.
fn is_at(pattern: &str, segments: &[&str]) -> bool {
    let mut parts = pattern.split('/').filter(|part| !part.is_empty());
    parts.clone().count() <= segments.len()
        && parts.by_ref().zip(segments).all(|(part, segment)| part.starts_with('{') || same_segment(part, segment))
}

/// The routes that begin as the path does or are spelled like it, the best first.
fn near(all: &[Route], segments: &[&str]) -> Vec<Route> {
    let likeness = |route: &Route| {
        let mut likeness = 0;
        let pattern = route.path.split('/').filter(|part| !part.is_empty());
        for (part, segment) in pattern.zip(segments) {
            likeness += match part {
                _ if part.starts_with('{') => 2,
                _ if same_segment(part, segment) => 4,
                _ if distance(part, segment) <= (segment.len() / 2).min(3) => 3,
                _ => break,
            };
        }
        likeness
    };
    let mut near: Vec<_> =
        all.iter().map(|route| (likeness(route), route)).filter(|(likeness, _)| *likeness > 0).collect();
    near.sort_by_key(|(likeness, route)| {
        (std::cmp::Reverse(*likeness), route.path.matches('/').count().abs_diff(segments.len()))
    });
    near.into_iter().take(MAX_NEAR).map(|(_, route)| route.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;
    use crate::publish::Publish;

    #[test]
    fn routes_near_a_path_are_like_it_the_most_similar_first() {
        let user = Tree::new().page("orders", |_| "").page("profile", |_| "");
        let tree = Tree::new().child("user", user).page("users", |_| "").page("about", |_| "");
        let near = |path: &str| {
            let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            near(&routes(&tree.describe()), &segments).into_iter().map(|route| route.path).collect::<Vec<_>>()
        };
        assert_eq!(near("/user/order")[0], "/user/orders");
        assert_eq!(near("/price"), Vec::<String>::new());
        assert_eq!(near("/abuot"), ["/about"]);
        assert!(near("/user").contains(&"/users".to_owned()));
    }
}
