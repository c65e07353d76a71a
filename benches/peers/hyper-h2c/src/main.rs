//! Hello world by HTTP/2 without encryption. Run with a port as the only argument.

use http_body_util::Full;
use hyper::{Request, Response, body::{Bytes, Incoming}, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder().header("content-type", "text/plain; charset=utf-8");
    Ok(response.body(Full::new(Bytes::from_static(b"Hello, World!"))).expect("a valid response"))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let server = http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
    }
}
