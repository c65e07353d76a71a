//! A counter in a session that is kept in Redis. Run with a port and the address of Redis: `redis://127.0.0.1:6379`.

use actix_session::{Session, SessionMiddleware, storage::RedisSessionStore};
use actix_web::{App, HttpResponse, HttpServer, cookie::Key, web};

async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Hello, World!")
}

async fn count(session: Session) -> Result<HttpResponse, actix_web::Error> {
    let count = session.get::<u64>("count")?.unwrap_or(0) + 1;
    session.insert("count", count)?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(count.to_string()))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT REDIS").parse().expect("a port");
    let redis = std::env::args().nth(2).expect("the address of Redis");
    let store = RedisSessionStore::new(redis).await.map_err(std::io::Error::other)?;
    let key = Key::generate();
    let app = move || {
        let sessions = SessionMiddleware::builder(store.clone(), key.clone()).cookie_secure(false).build();
        App::new()
            .route("/", web::get().to(hello))
            .service(web::resource("/count").wrap(sessions).route(web::get().to(count)))
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?;
    println!("Serving on http://127.0.0.1:{port}");
    server.run().await
}
