//! Hello world, and the files of a folder at `/static`. Run with a port and, if it should serve files, a folder.

use actix_files::Files;
use actix_web::{App, HttpResponse, HttpServer, web};

async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Hello, World!")
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT [FOLDER]").parse().expect("a port");
    let folder = std::env::args().nth(2);
    let app = move || {
        let app = App::new().route("/", web::get().to(hello));
        match &folder {
            Some(folder) => app.service(Files::new("/static", folder)),
            None => app,
        }
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?;
    println!("Serving on http://127.0.0.1:{port}");
    server.run().await
}
