//! Hello world. Run with a port as the only argument.

use ntex::web;

async fn hello() -> web::HttpResponse {
    web::HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Hello, World!")
}

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let server = web::HttpServer::new(|| web::App::new().route("/", web::get().to(hello)));
    let server = server.workers(2).bind(("127.0.0.1", port))?;
    println!("Serving on http://127.0.0.1:{port}");
    server.run().await
}
