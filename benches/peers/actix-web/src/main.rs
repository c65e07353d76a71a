//! Hello world, an event stream at `/events` of what is sent to `/publish`, and the files of a folder at `/static`. Run
//! with a port and, if it should serve files, a folder.

use actix_files::Files;
use actix_web::{App, Error, HttpResponse, HttpServer, web};
use tokio::sync::broadcast::{self, error::RecvError};

async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("Hello, World!")
}

async fn events(news: web::Data<broadcast::Sender<web::Bytes>>) -> HttpResponse {
    let told = futures_util::stream::unfold(news.subscribe(), |mut news| async move {
        loop {
            match news.recv().await {
                Ok(event) => return Some((Ok::<_, Error>(event), news)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(told)
}

async fn publish(news: web::Data<broadcast::Sender<web::Bytes>>, text: String) -> HttpResponse {
    let _ = news.send(format!("data: {text}\n\n").into());
    HttpResponse::Ok().finish()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT [FOLDER]").parse().expect("a port");
    let folder = std::env::args().nth(2);
    let news = web::Data::new(broadcast::Sender::<web::Bytes>::new(256));
    let app = move || {
        let app = App::new().app_data(news.clone()).route("/", web::get().to(hello));
        let app = app.route("/events", web::get().to(events)).route("/publish", web::post().to(publish));
        match &folder {
            Some(folder) => app.service(Files::new("/static", folder)),
            None => app,
        }
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?;
    println!("Serving on http://127.0.0.1:{port}");
    server.run().await
}
