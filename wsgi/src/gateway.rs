//! One request: the application is called on the worker, and what it returns becomes the response.
//!
//! The first item is made before the head goes out, so an error in a generator is still an error page. What is in
//! memory as a whole has its length; everything else is a stream.

use crate::environ::{Facts, Paths, environ};
use crate::errors::{ErrorsLog, failure};
use crate::input::{Input, Source};
use crate::lane::{Lane, Stay, has_body};
use crate::load::Loaded;
use crate::output::{FileWrapper, Items, Output, bytes_of};
use crate::start_response::{Head, StartResponse};
use kirsch::exchange::{Argument, BodyUse, PathLinks, Step};
use kirsch::lifecycle::Claim;
use kirsch::publish::{Call, Node, NodeRef};
use kirsch::{Body, Error, FileBody, Method, Publish, Response, ResponseBody, Stream, header};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::Arc;

/// The application as a node of the tree, for everything at its place and below.
pub(crate) struct Gateway {
    loaded: Loaded,
    lane: Lane,
    node: Arc<Node>,
}

impl Gateway {
    pub(crate) fn new(loaded: Loaded, lane: Lane) -> Self {
        let node = Node::for_everything_below("Wsgi", BodyUse::Stream);
        Self { loaded, lane, node: Arc::new(node) }
    }
}

impl Publish for Gateway {
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
        let body = Body::take("body", &mut arguments)?;
        let (request, values) = (arguments.request, arguments.values);
        let stay = values.get::<Stay>().cloned();
        let stay = stay.unwrap_or_else(|| Stay::new(&self.lane, Claim::of(request), None));
        let source = Source::new(has_body(request).then_some(body), stay.clone());
        let paths = Paths::of(request.prefix(), request.path(), usize::from(first));
        let of_request = OfRequest {
            gateway: self,
            facts: Facts { request, values, paths },
            source: source.clone(),
            stay: stay.clone(),
        };
        let begun = stay.begin();
        let answered = Python::attach(|py| {
            begun.attached();
            of_request.run(py).map_err(|error| failure(py, &error))
        });
        drop(begun);
        stay.leave();
        let Answered { head, content } = match answered {
            Ok(answer) => answer,
            // A client that has spoilt its body has its usual answer.
            Err(error) => return Err(source.take_failure().map_or(error, Error::from)),
        };
        let is_head = *request.method() == Method::HEAD;
        respond(response, head, content, is_head);
        Ok(())
    }
}

/// All that one call needs.
struct OfRequest<'r> {
    gateway: &'r Gateway,
    facts: Facts<'r>,
    source: Source,
    stay: Stay,
}

/// What the application has said.
struct Answered {
    head: Head,
    content: Content,
}

enum Content {
    Whole(Vec<u8>),
    File(FileBody),
    Items(Box<Items>),
}

impl OfRequest<'_> {
    fn run(&self, py: Python<'_>) -> PyResult<Answered> {
        let Self { gateway, facts, source, stay } = self;
        let id = facts.request.id();
        let template = gateway.loaded.template.bind(py);
        let input = Input::new(source.clone());
        let environ = environ(py, template, facts, input, ErrorsLog::new(id))?;
        let start = Bound::new(py, StartResponse::default())?;
        let returned = gateway.loaded.application.bind(py).call1((environ, &start))?;
        // From here on it is closed, whatever comes.
        let mut output = Output::new(returned, id);
        let content = match self.known(py, &output, start.get())? {
            Some(content) => {
                output.close(py);
                content
            }
            None => match output.next(py)? {
                first @ Some(_) => Content::Items(Box::new(Items { first, output, stay: stay.clone() })),
                None => {
                    output.close(py);
                    Content::Whole(Vec::new())
                }
            },
        };
        let (head, written) = start.get().take().ok_or_else(not_started)?;
        Ok(Answered { head, content: behind(written, content) })
    }

    /// Content that is there as a whole.
    fn known(&self, py: Python<'_>, output: &Output, start: &StartResponse) -> PyResult<Option<Content>> {
        let Some(returned) = output.iterable(py) else { return Ok(None) };
        let mut whole = Vec::new();
        if let Ok(list) = returned.cast_exact::<PyList>() {
            for item in list {
                whole.extend_from_slice(bytes_of(&item)?);
            }
        } else if let Ok(tuple) = returned.cast_exact::<PyTuple>() {
            for item in tuple {
                whole.extend_from_slice(bytes_of(&item)?);
            }
        } else {
            let file = returned.cast_exact::<FileWrapper>().ok().filter(|_| start.is_called() && !start.has_written());
            return Ok(file.and_then(|file| file.get().body(py)).map(Content::File));
        }
        Ok(Some(Content::Whole(whole)))
    }
}

fn not_started() -> PyErr {
    PyAssertionError::new_err("the application has not called start_response before its first item")
}

/// What `write` was given comes first.
fn behind(mut written: Vec<u8>, content: Content) -> Content {
    if written.is_empty() {
        return content;
    }
    match content {
        Content::Whole(whole) => {
            written.extend(whole);
            Content::Whole(written)
        }
        Content::Items(mut items) => {
            written.extend(items.first.take().unwrap_or_default());
            items.first = Some(written);
            Content::Items(items)
        }
        Content::File(file) => Content::File(file),
    }
}

fn respond(response: &mut Response, head: Head, content: Content, is_head: bool) {
    response.set_status(head.status);
    for (name, _) in &head.fields {
        // Fields that tools have set here stay true.
        if !matches!(*name, header::SET_COOKIE | header::VARY) {
            response.remove_header(name);
        }
    }
    for (name, value) in head.fields {
        response.add_header(name, value);
    }
    let promised = head.length;
    let body: ResponseBody = match (content, promised) {
        (Content::Whole(whole), Some(length)) if is_head && whole.len() as u64 != length => {
            Stream::new(Vec::<Vec<u8>>::new()).with_length(length).into()
        }
        // A promise that is not kept breaks the connection.
        (Content::Whole(whole), Some(length)) if whole.len() as u64 != length => {
            log::error!(
                target: "kirsch::wsgi",
                "the application has promised {length} bytes (Content-Length) and made {}: the response breaks off",
                whole.len()
            );
            Stream::new([whole]).with_length(length).into()
        }
        (Content::Whole(whole), _) => whole.into(),
        (Content::File(file), Some(length)) if length < file.length() => {
            FileBody::range(Arc::clone(file.file()), file.offset()..file.offset() + length).into()
        }
        (Content::File(file), _) => file.into(),
        (Content::Items(items), Some(length)) => {
            let request = items.stay.claim().request();
            let promise = Promise { items: Stream::fallible(items).with_length(length), request };
            Stream::fallible(promise).with_length(length).into()
        }
        (Content::Items(items), None) => Stream::fallible(items).into(),
    };
    response.set_body(body);
}

/// A stream whose broken promise is told to the log.
struct Promise {
    items: Stream,
    request: kirsch::exchange::RequestId,
}

impl Iterator for Promise {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.next();
        if let Some(Err(error)) = &item {
            log::error!(target: "kirsch::wsgi", "request {}: Content-Length of the application: {error}", self.request);
        }
        item
    }
}
