//! A Kirsch application inside hyper: an example for docs/guide/embedding.md. Run with a port as the only argument.
//!
//! Each request takes a thread for blocking code until its response is made. The pieces of the response go through a
//! channel with room for two: a slow client makes the application wait, and one that leaves ends it.

use http_body_util::{BodyExt, Limited, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kirsch::engine::{Embedded, Visitor};
use kirsch::prelude::{App, Stream, handlers};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, channel};

type Body = BoxBody<Bytes, io::Error>;

/// The most that a request may bring; the application has limits of its own below it.
const MAX_BODY: usize = 10 * 1024 * 1024;

struct Site;

#[handlers]
impl Site {
    #[expose]
    fn index(&self) -> &'static str {
        "Hello, World!"
    }

    #[expose]
    fn numbers(&self) -> Stream {
        Stream::new((0..10).map(|number| format!("{number}\n")))
    }
}

/// The pieces of a response, as hyper wants them.
struct Pieces(Receiver<io::Result<Bytes>>);

impl Pieces {
    fn body(self) -> Body {
        BodyExt::boxed(self)
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = http_body_util::Full::new(Bytes::from_static(text.as_bytes())).map_err(|never: Infallible| match never {});
    let mut response = Response::new(BodyExt::boxed(body));
    *response.status_mut() = status;
    response
}

async fn answer(site: Arc<Embedded>, client: SocketAddr, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Visitor::new(client));
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.\n"));
    };
    let request = Request::from_parts(parts, body.to_bytes());
    let (head_is_out, head) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let response = match site.answer(request) {
            Ok(response) => response,
            Err(error) => return drop(head_is_out.send(Err(io::Error::other(error.to_string())))),
        };
        let (parts, body) = response.into_parts();
        let (pieces, received) = channel(2);
        if head_is_out.send(Ok((parts, received))).is_err() {
            return;
        }
        for piece in body {
            if pieces.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    let (parts, received) = head.await.map_err(io::Error::other)??;
    Ok(Response::from_parts(parts, Pieces(received).body()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: embedded PORT")?.parse()?;
    let site = Arc::new(App::new(Site).embed().map_err(|error| error.to_string())?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Serving on http://{}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept().await?;
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&site), client, request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
