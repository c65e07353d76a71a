//! The handshake: the argument that checks it, and the return value that agrees.

use super::{Conversation, Peer};
use crate::exchange::{
    Argument, ArgumentInfo, Arguments, Error, HttpError, IntoResponse, Request, Response, is_own_origin, origin_of,
};
use crate::http::websocket::{Window, accept_key, is_key, offers_deflate};
use crate::http::{Framing, list_has, list_members};
use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A client that asks for a WebSocket (RFC 6455, section 4.2.1): the argument of a handler that talks.
///
/// Before the handler is called, all hooks have run as for any page: login, limits, sessions. What is no proper
/// handshake is refused: a request without one with 426, a broken one with 400, another method than GET with 405. A
/// browser names the page that asks (`Origin`); a page of another site gets 403 unless the tool
/// [`WebSockets`](crate::tools::WebSockets) lists it, since it would speak with the visitor's cookies. Programs name no
/// page, and pass.
///
/// Take [`SessionView`](crate::SessionView) beside it, or `&Session`: the lock is free once the handler returns.
#[derive(Debug)]
pub struct Upgrade {
    accept: String,
    /// The protocols that the client offers, in its order.
    offered: Vec<String>,
    protocol: Option<String>,
    #[cfg_attr(not(feature = "websocket-deflate"), expect(dead_code, reason = "nothing is compressed"))]
    offers_deflate: Option<Window>,
    deflates: Option<Window>,
    terms: Arc<Terms>,
    max_message: usize,
}

/// The bounds of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The origins whose pages may ask, besides the site's own.
    pub(crate) origins: Vec<String>,
    pub(crate) max_message: usize,
    pub(crate) outbox: usize,
    pub(crate) ping: Duration,
    pub(crate) pong: Duration,
    pub(crate) close: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            max_message: 1 << 20,
            outbox: 256 << 10,
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(10),
            close: Duration::from_secs(5),
        }
    }
}

impl Upgrade {
    /// The protocols that the application speaks, the best one first. The first that the client offers as well is
    /// agreed on; without one, none is, and browsers that have offered some give up.
    #[must_use]
    pub fn protocols<'p>(mut self, spoken: impl IntoIterator<Item = &'p str>) -> Self {
        self.protocol =
            spoken.into_iter().find(|&name| self.offered.iter().any(|offer| offer == name)).map(str::to_owned);
        self
    }

    /// The protocol that was agreed on.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The largest message that the client may send, in bytes, in place of the setting `websocket.max_message` (1 MiB).
    /// A larger one ends the conversation with 1009, at its announcement.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Compresses messages, if the client can do that as well (RFC 7692). Each is compressed by itself, so a client
    /// that is silent costs no more memory than without.
    ///
    /// It costs time: some 30 µs for each KiB that is sent. Do not put secrets and texts of strangers into one message:
    /// its length would tell whether they are alike.
    #[cfg(feature = "websocket-deflate")]
    #[must_use]
    pub fn compress(mut self) -> Self {
        self.deflates = self.offers_deflate;
        self
    }

    /// Agrees, and lets `conversation` speak with the client.
    pub fn speak(self, conversation: impl Conversation) -> Upgraded {
        Upgraded(Box::new(Agreed { conversation: Box::new(conversation), bond: None, upgrade: self }))
    }

    fn of(request: &Request, terms: Arc<Terms>) -> Result<Self, HttpError> {
        const VERSION: HeaderName = header::SEC_WEBSOCKET_VERSION;
        let named = |name: &'static str| request.headers_named(name);
        let bad = |problem: &str| Err(HttpError::new(StatusCode::BAD_REQUEST, problem));
        let wants = |message: &str| HttpError::new(StatusCode::UPGRADE_REQUIRED, message);
        if *request.method() != Method::GET {
            let message = "This page answers GET only.";
            let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message);
            return Err(error.with_header(header::ALLOW, HeaderValue::from_static("GET")));
        }
        let version = |error: HttpError| error.with_header(VERSION, HeaderValue::from_static("13"));
        let is_asked = list_has(named("upgrade"), "websocket") && list_has(named("connection"), "upgrade");
        // Over HTTP/2 the server has made a handshake of it.
        if !is_asked || !matches!(request.version(), Version::HTTP_11 | Version::HTTP_2) {
            let error = version(wants("This page speaks WebSocket only."));
            return Err(error.with_header(header::UPGRADE, HeaderValue::from_static("websocket")));
        }
        let mut versions = named("sec-websocket-version");
        if (versions.next(), versions.next()) != (Some(b"13"), None) {
            return Err(version(wants("This page speaks WebSocket of version 13.")));
        }
        if !matches!(request.head.framing(), Framing::None | Framing::Length(0)) {
            return bad("A handshake has no body.");
        }
        let mut keys = named("sec-websocket-key");
        let key = match (keys.next(), keys.next()) {
            (Some(key), None) if is_key(key) => key,
            _ => return bad("The key of the handshake is missing or wrong."),
        };
        check_origin(request, &terms)?;
        let offered = list_members(named("sec-websocket-protocol"));
        let offered = offered.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(Self {
            accept: accept_key(key),
            offered,
            protocol: None,
            offers_deflate: offers_deflate(named("sec-websocket-extensions")),
            deflates: None,
            max_message: terms.max_message,
            terms,
        })
    }
}

/// A page of this site, or of one that is listed; compared as origins. A client without one is no browser.
fn check_origin(request: &Request, terms: &Terms) -> Result<(), HttpError> {
    let mut origins = request.headers_named("origin");
    let (first, second) = (origins.next(), origins.next());
    let Some(origin) = first else { return Ok(()) };
    let origin = std::str::from_utf8(origin).ok().filter(|_| second.is_none());
    let is_listed = |text: &str| match origin_of(text) {
        Some((origin, "")) => is_own_origin(request, text) || terms.origins.contains(&origin),
        _ => false,
    };
    match origin {
        Some(text) if is_listed(text) => Ok(()),
        _ => Err(HttpError::new(StatusCode::FORBIDDEN, "A page of another site cannot open this connection.")
            .with_remedy("the setting `websocket.origins` lists the sites whose pages may")),
    }
}

impl<'a> Argument<'a> for Upgrade {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Self::of(arguments.request, arguments.values.get::<Arc<Terms>>().cloned().unwrap_or_default())
    }
}

/// The answer to an [`Upgrade`]: the conversation begins behind it.
pub struct Upgraded(Box<Agreed>);

/// What a handler has agreed on.
pub(crate) struct Agreed {
    pub(crate) conversation: Box<dyn Conversation>,
    pub(crate) bond: Option<Box<dyn Bond>>,
    upgrade: Upgrade,
}

/// Something that a conversation ends with, such as the session of its visitor. Dropped with the conversation.
pub(crate) trait Bond: Send + 'static {
    /// The conversation begins.
    fn begin(&mut self, peer: &Peer);

    /// Whether the conversation may go on. Asked on a worker, before each ping.
    fn holds(&self) -> bool;
}

impl Agreed {
    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.upgrade.terms
    }

    pub(crate) fn max_message(&self) -> usize {
        self.upgrade.max_message
    }

    pub(crate) fn deflates(&self) -> bool {
        self.upgrade.deflates.is_some()
    }

    /// The fields of the answer, as lines. Over HTTP/2 there is no key to be answered (RFC 8441, section 5).
    pub(crate) fn fields(&self, answers_key: bool) -> Vec<u8> {
        let Upgrade { accept, protocol, deflates, .. } = &self.upgrade;
        let mut lines = match answers_key {
            true => format!("upgrade: websocket\r\nsec-websocket-accept: {accept}\r\n"),
            false => String::new(),
        };
        if let Some(protocol) = protocol {
            // One that the client has sent, so it fits into a field.
            lines.push_str(&format!("sec-websocket-protocol: {protocol}\r\n"));
        }
        if let Some(window) = deflates {
            lines.push_str(&format!("sec-websocket-extensions: {}\r\n", window.agreed()));
        }
        lines.into_bytes()
    }

    pub(crate) fn peer(&self, request: &Request, waker: Waker) -> Peer {
        Peer::new(request.id(), request.remote(), self.upgrade.terms.outbox, self.upgrade.deflates, waker)
    }
}

impl IntoResponse for Upgraded {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.set_status(StatusCode::SWITCHING_PROTOCOLS);
        response.set_agreed(self.0);
        Ok(())
    }
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Debug for Agreed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded").field("upgrade", &self.upgrade).finish_non_exhaustive()
    }
}
