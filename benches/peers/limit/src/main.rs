//! The floor that every epoll server stands on: an epoll for each of two threads, one `read`, one canned `write`, no
//! parsing. Run with a port as the only argument.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::sync::Arc;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\n\
date: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\nHello, World!";

fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    let polls: Vec<_> = (0..2)
        .map(|_| {
            let poll = Arc::new(epoll::create(CreateFlags::CLOEXEC).expect("epoll"));
            let own = poll.clone();
            std::thread::spawn(move || serve(&own));
            poll
        })
        .collect();
    for (turn, stream) in listener.incoming().flatten().enumerate() {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_nonblocking(true);
        let raw = stream.into_raw_fd();
        // SAFETY: the descriptor is open; from here on only the thread that polls it closes it.
        let stream = unsafe { BorrowedFd::borrow_raw(raw) };
        let _ = epoll::add(&*polls[turn % polls.len()], stream, EventData::new_u64(raw as u64), EventFlags::IN);
    }
}

fn serve(poll: &OwnedFd) {
    let mut events = [MaybeUninit::<Event>::uninit(); 64];
    let mut input = [0u8; 16 * 1024];
    let mut output = Vec::with_capacity(16 * 1024);
    loop {
        let Ok((ready, _)) = epoll::wait(poll, &mut events, None) else { continue };
        for event in ready {
            let raw = event.data.u64() as i32;
            // SAFETY: the descriptor is polled by this thread alone and was not closed by it yet.
            let stream = unsafe { BorrowedFd::borrow_raw(raw) };
            match recv(stream, &mut input[..], RecvFlags::empty()) {
                Ok((_, received)) if received > 0 => {
                    let requests = input[..received].windows(4).filter(|bytes| bytes == b"\r\n\r\n").count();
                    output.clear();
                    (0..requests).for_each(|_| output.extend_from_slice(RESPONSE));
                    let _ = send(stream, &output, SendFlags::NOSIGNAL);
                }
                Err(rustix::io::Errno::AGAIN) => {}
                // SAFETY: this thread owns the descriptor and does not touch it again.
                _ => unsafe { rustix::io::close(raw) },
            }
        }
    }
}
