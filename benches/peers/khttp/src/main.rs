//! Hello world. Run with a port as the only argument.

use khttp::{Headers, Method, Server, Status};

fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let mut server = Server::builder(("127.0.0.1", port)).expect("a free port");
    server.route(Method::Get, "/", |_, response| {
        let mut headers = Headers::new();
        headers.add("content-type", b"text/plain; charset=utf-8");
        response.send(&Status::OK, &headers, &b"Hello, World!"[..])
    });
    println!("Serving on http://127.0.0.1:{port}");
    server.build().serve_epoll().expect("server");
}
