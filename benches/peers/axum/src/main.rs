//! Hello world, WebSocket as an echo at `/echo_socket` and as a room at `/room_socket`, an event stream at `/events` of
//! what is sent to `/publish`, and the files of a folder at `/static`. Run with a port and, if it should serve files, a
//! folder.

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::{
        Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use std::convert::Infallible;
use tokio::sync::broadcast::{self, error::RecvError};
use tower_http::services::ServeDir;

async fn hello() -> &'static str {
    "Hello, World!"
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn talk(mut socket: WebSocket, room: broadcast::Sender<Message>) {
    let mut said = room.subscribe();
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => drop(room.send(message)),
                Some(Ok(_)) => {}
                _ => return,
            },
            Ok(message) = said.recv() => if socket.send(message).await.is_err() {
                return;
            },
        }
    }
}

fn events(news: broadcast::Receiver<String>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let told = stream::unfold(news, async |mut news| {
        loop {
            match news.recv().await {
                Ok(text) => return Some((Ok(Event::default().data(text)), news)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(told).keep_alive(KeepAlive::default())
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT [FOLDER]").parse().expect("a port");
    let room = broadcast::Sender::new(256);
    let join = async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(|socket| talk(socket, room));
    let mut app = Router::new().route("/", get(hello)).route("/echo_socket", get(echo)).route("/room_socket", get(join));
    let news = broadcast::Sender::new(256);
    let told = news.clone();
    app = app.route("/events", get(async move || events(told.subscribe())));
    app = app.route("/publish", post(async move |text: String| drop(news.send(text))));
    if let Some(folder) = std::env::args().nth(2) {
        app = app.nest_service("/static", ServeDir::new(folder));
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    axum::serve(listener, app).await.expect("server");
}
