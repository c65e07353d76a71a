//! Hello world. Run with a port as the only argument.

use astra::{Body, ConnectionInfo, Request, ResponseBuilder, Response, Server};

fn hello(_: Request, _: ConnectionInfo) -> Response {
    ResponseBuilder::new()
        .header("content-type", "text/plain; charset=utf-8")
        .body(Body::new("Hello, World!"))
        .expect("a valid response")
}

fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    println!("Serving on http://127.0.0.1:{port}");
    Server::bind(("127.0.0.1", port)).serve(hello).expect("server");
}
