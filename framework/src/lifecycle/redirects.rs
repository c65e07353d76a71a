//! The listeners that only lead to `https`: the answer to each of their requests, before anything of the application
//! runs.
//!
//! A request is sent to the same host, path and query (308, so that a form stays a form), if the application answers
//! for that host. Before that come the answers to a certificate authority that asks whether this is the host
//! (`/.well-known/acme-challenge/`, RFC 8555, section 8.3): files that the client of the authority has written.

use super::Hosts;
use crate::exchange::{Exchange, ListenerRole, Origin};
use crate::private_file;
use ::http::{HeaderValue, Method, StatusCode, header};
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// An answer is a line of less than 200 bytes.
const MAX_ANSWER: u64 = 8 << 10;
/// The longest name of a file on usual systems.
const MAX_NAME: usize = 255;

/// Where requests are sent.
#[derive(Debug)]
pub(crate) struct Redirects {
    /// The port in the address, once it is known.
    port: OnceLock<u16>,
    challenges: Option<PathBuf>,
}

impl Redirects {
    /// To this port, or to that of the first encrypted listener; with the answers in this folder.
    pub(crate) fn new(port: Option<u16>, challenges: Option<PathBuf>) -> Self {
        Self { port: port.map_or_else(OnceLock::new, OnceLock::from), challenges }
    }

    /// The port of the first encrypted listener, unless another is set.
    pub(crate) fn lead_to(&self, port: u16) {
        let _ = self.port.set(port);
    }

    /// Whether the request came by a listener that only leads on: then its answer is in the response. Files are read
    /// only by a worker.
    pub(super) fn answer(&self, exchange: &mut Exchange, hosts: &Hosts, is_worker: bool) -> bool {
        if exchange.request.connection.listener.role != ListenerRole::Redirect {
            return false;
        }
        if let (Some(folder), Some(name)) = (&self.challenges, exchange.request.head.path().strip_prefix(CHALLENGES)) {
            if !is_worker {
                return false;
            }
            let is_read = matches!(*exchange.request.head.method(), Method::GET | Method::HEAD);
            match is_read.then(|| answer(folder, name)).flatten() {
                Some(text) => say(exchange, StatusCode::OK, text),
                None => say(exchange, StatusCode::NOT_FOUND, b"There is no such challenge.\n".to_vec()),
            }
            return true;
        }
        let target = self.target(exchange, hosts);
        match target.as_ref().map(HeaderValue::try_from) {
            Some(Ok(location)) => {
                say(exchange, StatusCode::PERMANENT_REDIRECT, b"This page is at an https:// address.\n".to_vec());
                exchange.response.set_header(header::LOCATION, location);
            }
            Some(Err(_)) => say(exchange, StatusCode::BAD_REQUEST, b"This address cannot be read.\n".to_vec()),
            None if exchange.request.raw_host().is_empty() => {
                let text = b"This page is at an https:// address, and the request does not name its host: ask there.\n";
                say(exchange, StatusCode::BAD_REQUEST, text.to_vec());
            }
            None => {
                let text = b"This server does not answer for this host.\n";
                say(exchange, StatusCode::MISDIRECTED_REQUEST, text.to_vec());
            }
        }
        true
    }

    /// The address for `https`; `None` for a host that the application does not answer for.
    fn target(&self, exchange: &Exchange, hosts: &Hosts) -> Option<String> {
        let request = &exchange.request;
        let port = self.port.get().copied().unwrap_or(443);
        // A client of HTTP/1.0 need not name the host; where there is one, it is meant.
        let named = Some(request.host()).filter(|_| !request.raw_host().is_empty()).or_else(|| hosts.only())?;
        let host = Origin::new(false, named).host().to_owned();
        let authority = if port == 443 { host } else { format!("{host}:{port}") };
        let is_ours =
            hosts.is_empty() || [&*authority, named].iter().any(|name| hosts.find(&Origin::new(true, name)).is_some());
        let path = if request.head.path().starts_with('/') { request.head.path() } else { "/" };
        let query = request.head.target().split_once('?').map(|(_, query)| query);
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        is_ours.then(|| format!("https://{authority}{path}{query}"))
    }
}

/// The answer to a challenge: a file of this name in the folder, and nowhere else.
fn answer(folder: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        return None;
    }
    let file = private_file::open_plain(&folder.join(name)).ok()?;
    let mut text = Vec::new();
    file.take(MAX_ANSWER).read_to_end(&mut text).ok()?;
    Some(text)
}

fn say(exchange: &mut Exchange, status: StatusCode, text: Vec<u8>) {
    let response = &mut exchange.response;
    response.set_status(status);
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.set_body(text);
}
