//! Rooms, and what others put into an outbox.

use super::*;
use crate::push::Room;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_room_is_heard_by_all_who_have_joined_and_by_no_others() {
    let room = Room::new();
    for (client, heard) in clients(app) {
        let join = |_| {
            let mut socket = client.websocket("/talk");
            assert_eq!(socket.send("here").text(), "here");
            let peer = heard.peer();
            room.join(&peer);
            (socket, peer)
        };
        let (mut sockets, peers): (Vec<_>, Vec<_>) = (0..3).map(join).unzip();
        room.leave(&peers[2]);
        assert_eq!(sockets[2].send("left").text(), "left");
        for number in 0..500 {
            room.say(&format!("said {number}")).expect("it is small");
        }
        peers[2].send("to you alone").expect("room");
        for socket in &mut sockets[..2] {
            for number in 0..500 {
                assert_eq!(socket.text(), format!("said {number}"));
            }
        }
        assert_eq!(sockets[2].text(), "to you alone");
    }
}

#[test]
fn one_that_never_reads_is_dropped_from_a_room_and_the_others_hear_all() {
    const ROUNDS: usize = 400;
    let (app, heard) = app();
    let client = Client::over_socket(app.config_str("[global]\nserver.write_timeout = \"1s\""));
    let room = Room::new().keep(16);
    let join = || {
        let mut socket = client.websocket("/talk");
        assert_eq!(socket.send("here").text(), "here");
        room.join(&heard.peer());
        socket
    };
    let (_silent, mut others): (_, Vec<_>) = (join(), (0..5).map(|_| join()).collect());
    // The kernel takes some megabytes for the one that is silent.
    for round in 0..ROUNDS {
        room.say(&vec![u8::try_from(round % 251).expect("small"); 50_000]).expect("it fits");
        for socket in &mut others {
            assert_eq!(socket.bytes()[..1], [u8::try_from(round % 251).expect("small")]);
        }
    }
    let end = heard.end();
    assert_eq!((end.code, &*end.reason), (CloseCode::TRY_LATER, "this client is too slow"));
}

/// A thread that sends as fast as the outbox takes it, for as long as `run` runs.
fn while_others_fill_the_outbox(peer: &Peer, run: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && !peer.is_over() {
                if peer.send(&vec![7; 60_000]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        run();
        is_over.store(true, Ordering::Relaxed);
    });
}

/// More than an outbox and the buffers of the kernel.
const MANY: usize = 2_000;

#[test]
fn a_ping_is_answered_behind_an_outbox_that_never_empties() {
    let (app, heard) = app();
    let client = Client::over_socket(app);
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("here").text(), "here");
    while_others_fill_the_outbox(&heard.peer(), || {
        socket.ping(b"there?");
        let answer = (0..MANY).map(|_| socket.receive()).find(|said| matches!(said, Said::Pong(_)));
        assert_eq!(answer, Some(Said::Pong(b"there?".to_vec())));
    });
}

#[test]
fn a_message_is_heard_behind_an_outbox_that_never_empties() {
    let (app, heard) = app();
    let client = Client::over_socket(app);
    let mut socket = client.websocket("/talk");
    assert_eq!(socket.send("here").text(), "here");
    while_others_fill_the_outbox(&heard.peer(), || {
        socket.send("end");
        let end = (0..MANY).map(|_| socket.receive()).find(|said| matches!(said, Said::Close(..)));
        assert_eq!(end, Some(Said::Close(Some(4001), "served".to_owned())));
    });
}
