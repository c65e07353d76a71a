//! Hello world. Run with a port as the only argument.

use std::sync::Arc;
use tiny_http::{Header, Response, Server};

fn main() {
    let port = std::env::args().nth(1).expect("usage: peer PORT");
    let server = Arc::new(Server::http(format!("127.0.0.1:{port}")).expect("a free port"));
    println!("Serving on http://127.0.0.1:{port}");
    let content_type: Header = "content-type: text/plain; charset=utf-8".parse().expect("a valid field");
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (server, content_type) = (server.clone(), content_type.clone());
            std::thread::spawn(move || {
                for request in server.incoming_requests() {
                    let _ = request.respond(Response::from_string("Hello, World!").with_header(content_type.clone()));
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
}
