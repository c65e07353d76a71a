//! The debug page: everything that a developer wants to know about a failure, in the browser.
//!
//! It is on where the setting `debug_page` says so, and then shown only to requests that bring the key of the process
//! ([`is_shown_to`]); all other clients get the usual page. Where it is off nothing of it runs: the hooks of a plan are
//! wrapped while the plan is built ([`trace`]), and a report is put together when an error page is made. It shows an
//! unexpected error or a panic with everything around it, and for 404 and 405 without a page of the application's own
//! the routes near the path.
//!
//! The facts are gathered here; `html.rs` and `text.rs` write them, `key.rs` has the key, `secrets.rs` masks,
//! `source.rs` reads backtraces and places.

mod html;
pub(crate) mod key;
mod secrets;
mod source;
mod text;
mod trace;

use super::backtrace::captured;
use super::{ErrorPage, HookPoint, Plan};
use crate::exchange::{Error, ErrorInText, ErrorKind, Exchange, HttpError, Request};
use crate::logs;
use crate::panics::Panicked;
use crate::publish::{NodeRef, Route, named_segments, route_of, routes, same_segment, unexposed};
use crate::suggestion::distance;
use ::http::StatusCode;
use secrets::masked;
use source::{AROUND, Frame, FrameWithSource, Place};
use trace::{HookRun, Trace};

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
    /// About an unexpected error.
    pub(super) fn of_failure(plan: &Plan, root: &NodeRef, exchange: &mut Exchange, error: &Error) -> Self {
        let trace = exchange.values.get::<Trace>();
        let place = trace.map_or_else(|| "before any hook".to_owned(), Trace::failed_place);
        let hooks = trace.map(Trace::runs_until_now).unwrap_or_default();
        // The failure may have come before anything asked for the parameters.
        let _ = exchange.request.decode_parameters();
        let mut causes = logs::chain(error);
        let panic = match error.kind() {
            ErrorKind::Unexpected(error) => error.downcast_ref::<Panicked>(),
            _ => None,
        };
        if let Some(panic) = panic {
            causes[0] = format!("panicked: {}", panic.message);
        }
        let text = match error.kind() {
            ErrorKind::Unexpected(error) => error.downcast_ref::<ErrorInText>().and_then(|error| error.place.as_ref()),
            _ => None,
        };
        let source = match (text, panic) {
            (Some(place), _) => Some(Place::in_text(place)),
            (None, Some(panic)) => panic.place.as_deref().and_then(|place| Place::parse(place, AROUND)),
            (None, None) => error.place().map(Place::of),
        };
        let backtrace = captured(error).map(source::frames).unwrap_or_default();
        let backtrace = backtrace.into_iter().map(Frame::with_source).collect();
        Self::new(plan, root, exchange, About::Failure(Failure { causes, place, source, backtrace, hooks }))
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
        let of_path = in_path.iter().map(|(name, index)| (name.clone(), masked(name, request.segment(*index))));
        let others = request.all_parameters().map(|(name, value)| (name.to_owned(), masked(name, value)));
        let parameters = of_path.chain(others);
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
            parameters: parameters.take(MAX_PARAMETERS).collect(),
            handler,
            tools: plan.tools.join(", "),
            settings: plan.debug.as_ref().map(|notes| notes.settings.clone()).unwrap_or_default(),
            about,
        }
    }

    pub(super) fn html(&self, page: &ErrorPage<'_>) -> String {
        html::write(self, page)
    }

    pub(super) fn text(&self, page: &ErrorPage<'_>) -> String {
        text::write(self, page)
    }
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
