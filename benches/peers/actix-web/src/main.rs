//! Hello world. Run with a port as the only argument.

use actix_web::{App, HttpResponse, HttpServer, web};

async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Hello, World!")
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let server = HttpServer::new(|| App::new().route("/", web::get().to(hello))).workers(2).bind(("127.0.0.1", port))?;
    println!("Serving on http://127.0.0.1:{port}");
    server.run().await
}
