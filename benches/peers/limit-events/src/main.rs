//! The floor under every server that tells many the same: one thread, and for each event one `send` of the same bytes
//! to each socket, with nothing between two of them. `/events`, `/publish` and hello world as Kirsch's testbed has
//! them, without parsing. Run with a port as the only argument.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\n\
date: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\nHello, World!";
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\
transfer-encoding: chunked\r\ndate: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\n4\r\n:\n\n\r\n";
const NEW: u64 = u64::MAX;

fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    let poll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    epoll::add(&poll, &listener, EventData::new_u64(NEW), EventFlags::IN).expect("epoll");
    let mut ready = [MaybeUninit::<Event>::uninit(); 64];
    let mut input = [0; 4096];
    let (mut asking, mut following) = (HashMap::new(), Vec::new());
    loop {
        let Ok((ready, _)) = epoll::wait(&poll, &mut ready, None) else { continue };
        for event in ready {
            let id = event.data.u64();
            if id == NEW {
                let Ok((socket, _)) = listener.accept() else { continue };
                let _ = socket.set_nodelay(true);
                let _ = socket.set_nonblocking(true);
                let id = socket.as_raw_fd() as u64;
                let _ = epoll::add(&poll, &socket, EventData::new_u64(id), EventFlags::IN);
                asking.insert(id, socket);
                continue;
            }
            let Some(mut socket) = asking.remove(&id) else { continue };
            let asked = match socket.read(&mut input) {
                Ok(length) if length > 0 => &input[..length],
                _ => continue,
            };
            if asked.starts_with(b"GET /events ") {
                let _ = epoll::delete(&poll, &socket);
                let _ = socket.write(STREAM);
                following.push(socket);
                continue;
            }
            if asked.starts_with(b"POST /publish ") {
                let text = String::from_utf8_lossy(asked);
                let event = format!("data: {}\nid: 1a2b3c4d-100\n\n", text.rsplit("\r\n").next().unwrap_or_default());
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                for mut socket in &following {
                    let _ = socket.write(chunk.as_bytes());
                }
            }
            let _ = socket.write(HELLO);
            asking.insert(id, socket);
        }
    }
}
