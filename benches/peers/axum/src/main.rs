//! Hello world, and the files of a folder at `/static`. Run with a port and, if it should serve files, a folder.

use axum::{Router, routing::get};
use tower_http::services::ServeDir;

async fn hello() -> &'static str {
    "Hello, World!"
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT [FOLDER]").parse().expect("a port");
    let mut app = Router::new().route("/", get(hello));
    if let Some(folder) = std::env::args().nth(2) {
        app = app.nest_service("/static", ServeDir::new(folder));
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    axum::serve(listener, app).await.expect("server");
}
