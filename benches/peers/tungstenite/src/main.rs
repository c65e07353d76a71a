//! WebSocket by tokio-tungstenite, with its defaults: echo at `/echo_socket`, a room at `/room_socket`. Run with a port
//! as the only argument.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

#[tokio::main(worker_threads = 2)]
async fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    let room = broadcast::Sender::new(256);
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(talk(stream, room.clone()));
    }
}

async fn talk(stream: TcpStream, room: broadcast::Sender<Message>) {
    let mut is_room = false;
    #[expect(clippy::result_large_err, reason = "the callback's type is given")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        is_room = request.uri().path() == "/room_socket";
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, look).await else { return };
    let mut said = room.subscribe();
    loop {
        let answer = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() || message.is_binary() => message,
                Some(Ok(_)) => continue,
                _ => return,
            },
            Ok(message) = said.recv(), if is_room => {
                if socket.send(message).await.is_err() {
                    return;
                }
                continue;
            }
        };
        if is_room {
            let _ = room.send(answer);
        } else if socket.send(answer).await.is_err() {
            return;
        }
    }
}
