//! Handlers that know nothing of this framework: functions from `http::Request` to `http::Response`, below a path
//! (CherryPy's `tree.graft`).
//!
//! Such a function has its own router and its own treatment of methods and errors. It gets every request below its
//! place, with the path as if the place were the root. The server keeps its own tasks: framing, the life of the
//! connection, the limit of the body, HEAD, panics.

use super::{Call, Node, NodeRef, Publish};
use crate::exchange::{Argument, BodyUse, Bytes, Error, HttpError, PathLinks, Request, ResponseBody, Step};
use crate::http::{encode_segment, is_of_the_connection};
use ::http::{HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use std::net::IpAddr;
use std::sync::Arc;

type Function = dyn Fn(::http::Request<bytes::Bytes>) -> ::http::Response<ResponseBody> + Send + Sync;

/// A function from `http::Request` to `http::Response` as a node of the tree: for code that is written against the
/// crate `http` alone.
///
/// ```
/// use kirsch::bytes::Bytes;
/// use kirsch::{prelude::*, publish::Foreign, testing::Client};
///
/// // Knows only the crates `http` and `bytes`.
/// fn echo(request: http::Request<Bytes>) -> http::Response<Vec<u8>> {
///     let text = format!("{} {} {:?}", request.method(), request.uri(), request.body());
///     http::Response::builder().status(201).header("x-from", "abroad").body(text.into_bytes()).expect("a response")
/// }
///
/// let client = Client::in_process(App::new(Tree::new().child("old", Foreign::new(echo))));
/// let answer = client.put("/old/a%20b/?c=d").body("body").send();
/// answer.assert_status(201).assert_header("x-from", "abroad").assert_text("PUT /a%20b/?c=d b\"body\"");
/// ```
///
/// | of the request | the function gets |
/// |---|---|
/// | method | every one that the server lets through, HEAD and OPTIONS too |
/// | path, query | the part below its place; a slash at the end stays, double ones are one |
/// | fields | all but those of framing and connection; `Content-Length` is that of the body |
/// | body | all of it, up to `max_body` of the path |
/// | extensions | [`Abroad`]: the whole path, the client's address |
///
/// Of the response status, fields and body count; fields of framing and connection are the server's to write. The body
/// may be anything that becomes a [`ResponseBody`]: bytes, text, a file, a [`Stream`](crate::Stream). Tools of the
/// path, conditions and ranges work as for every page. A panic is a 500.
///
/// It runs on a worker and may block. A function that is `async` needs a runtime of its own to be waited for.
pub struct Foreign {
    function: Box<Function>,
    node: Arc<Node>,
}

/// Facts about a request beyond its own path: found in the extensions of the `http::Request` that a [`Foreign`]
/// function gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abroad {
    /// Path and query as the client has sent them.
    pub uri: Uri,
    /// The path below which the function is, as the client sees it: `/front/old`, without a slash at its end. It
    /// belongs before the function's own links.
    pub place: String,
    /// The client's address, right behind a trusted proxy.
    pub remote: IpAddr,
    /// Whether the client came by `https`.
    pub is_secure: bool,
}

impl Foreign {
    /// Publishes `function` for everything at its place and below.
    #[must_use]
    pub fn new<F, B>(function: F) -> Self
    where
        F: Fn(::http::Request<bytes::Bytes>) -> ::http::Response<B> + Send + Sync + 'static,
        B: Into<ResponseBody>,
    {
        let node = Node::for_everything_below("Foreign", BodyUse::Whole);
        let function = Box::new(move |request| function(request).map(Into::into));
        Self { function, node: Arc::new(node) }
    }
}

impl Publish for Foreign {
    type Links = PathLinks;

    fn node() -> NodeRef {
        NodeRef::Static(Node::LATE)
    }

    fn describe(&self) -> NodeRef {
        NodeRef::Shared(Arc::clone(&self.node))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
        call.enter(&self.node)?;
        let Step::Handler { first, .. } = call.step() else { return Err(call.misled()) };
        let (mut arguments, response) = call.handler_arguments(first);
        let Bytes(body) = Bytes::take("body", &mut arguments)?;
        let request = translated(arguments.request, usize::from(first), body)?;
        let (parts, body) = (self.function)(request).into_parts();
        response.set_status(parts.status).set_body(body);
        let options: Vec<_> = parts.headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes).collect();
        for name in parts.headers.keys().filter(|name| !is_of_the_connection(name.as_str(), &options)) {
            // Fields that tools have set here stay true.
            if !matches!(*name, header::SET_COOKIE | header::VARY) {
                response.remove_header(name);
            }
            for value in parts.headers.get_all(name) {
                response.add_header(name.clone(), value.clone());
            }
        }
        Ok(())
    }
}

/// The request as the function gets it: below the first `above` segments.
fn translated(request: &Request, above: usize, body: Vec<u8>) -> Result<::http::Request<bytes::Bytes>, Error> {
    let (mut place, mut target) = (request.prefix().to_owned(), String::new());
    for (index, segment) in request.segments().enumerate() {
        let path = if index < above { &mut place } else { &mut target };
        path.push('/');
        path.extend(encode_segment(segment));
    }
    if target.is_empty() || request.path().ends_with('/') {
        target.push('/');
    }
    let with_query = |path: &str| match request.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut translated = ::http::Request::builder()
        .method(request.method().clone())
        .uri(address(with_query(&target))?)
        .version(if request.version() == Version::HTTP_10 { Version::HTTP_10 } else { Version::HTTP_11 });
    let abroad = Abroad {
        uri: address(with_query(request.path()))?,
        place,
        remote: request.remote(),
        is_secure: request.is_secure(),
    };
    let options: Vec<_> = request.headers_named("connection").collect();
    for (name, value) in request.headers().filter(|(name, _)| !is_of_the_connection(name, &options)) {
        translated = translated.header(HeaderName::try_from(name)?, HeaderValue::from_bytes(value)?);
    }
    if !body.is_empty() {
        translated = translated.header(header::CONTENT_LENGTH, body.len());
    }
    Ok(translated.extension(abroad).body(bytes::Bytes::from(body))?)
}

/// The crate `http` is stricter about some signs than the server is.
fn address(text: String) -> Result<Uri, HttpError> {
    let refused = |_| HttpError::new(StatusCode::BAD_REQUEST, "The address has signs that must be percent-encoded.");
    Uri::try_from(text).map_err(refused)
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Foreign")
    }
}
