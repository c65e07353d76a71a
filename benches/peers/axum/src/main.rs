//! Hello world. Run with a port as the only argument.

use axum::{Router, routing::get};

async fn hello() -> &'static str {
    "Hello, World!"
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    axum::serve(listener, Router::new().route("/", get(hello))).await.expect("server");
}
