//! The outbox, the wake-up of its connection, and the end under shuttle. `bash check models` runs it.
//!
//! The connection is one without its server: it takes what there is, and sleeps once it may rest, until its waker was
//! woken. [`Fault`] names known mistakes; each must be found out.

use super::*;
use crate::http::websocket::frame_length;
use crate::primitive::{Unpark, effort};
use shuttle::thread;
use std::net::Ipv4Addr;

const SCHEDULES: usize = 2_000;
const SENDERS: u8 = 3;
const MESSAGES: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The connection looks whether something waits, and notes that it rests in a second step.
    RestsInTwoSteps,
    /// The connection takes what there is before it rests, and does not look again.
    RestsBlindly,
    /// A sender looks whether the connection rests before it puts its message in.
    LooksBeforeItSends,
}

fn rest(peer: &Peer, fault: Fault) -> bool {
    match fault {
        Fault::RestsInTwoSteps => {
            let is_empty = peer.0.kept.lock().frames.is_empty();
            thread::yield_now();
            peer.0.kept.lock().rests = is_empty;
            is_empty
        }
        Fault::RestsBlindly => {
            peer.0.kept.lock().rests = true;
            true
        }
        _ => peer.rest(),
    }
}

fn send(peer: &Peer, message: &[u8], fault: Fault) {
    if fault == Fault::LooksBeforeItSends {
        let waker = peer.0.kept.lock().waker_of_rest();
        wake(waker);
        thread::yield_now();
        return write_frame(&mut peer.0.kept.lock().frames, Opcode::Binary, message);
    }
    assert_eq!(peer.send(message), Ok(()));
}

fn play(fault: Fault) {
    let peer = Peer::new(RequestId::default(), Ipv4Addr::LOCALHOST.into(), 1000, None, Unpark::waker());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let peer = peer.clone();
            thread::spawn(move || (0..MESSAGES).for_each(|number| send(&peer, &[sender, number], fault)))
        })
        .collect();
    let (mut taken, mut next) = (0, [0; SENDERS as usize]);
    while taken < SENDERS * MESSAGES {
        let mut out = Vec::new();
        peer.take(&mut out);
        let mut frames = &out[..];
        while let Some(length) = frame_length(frames) {
            let [sender, number] = frames[2..length] else { panic!("not a frame that was sent") };
            assert_eq!(next[usize::from(sender)], number, "messages of one thread keep their order");
            next[usize::from(sender)] += 1;
            taken += 1;
            frames = &frames[length..];
        }
        if taken < SENDERS * MESSAGES && rest(&peer, fault) {
            thread::park();
        }
    }
    senders.into_iter().for_each(|sender| sender.join().expect("no panic in the model"));
    let closer = {
        let peer = peer.clone();
        thread::spawn(move || peer.close(CloseCode::NORMAL, ""))
    };
    while peer.farewell().is_none() {
        if peer.rest() {
            thread::park();
        }
    }
    closer.join().expect("no panic in the model");
    peer.end();
    assert_eq!(peer.send("late"), Err(SendError::Over));
}

fn check(fault: Fault) {
    shuttle::check_random(move || play(fault), SCHEDULES * effort());
}

#[test]
fn no_message_and_no_end_is_slept_through() {
    check(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_connection_that_rests_in_two_steps() {
    check(Fault::RestsInTwoSteps);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_connection_that_rests_blindly() {
    check(Fault::RestsBlindly);
}

#[test]
#[should_panic(expected = "deadlock")]
fn found_a_sender_that_looks_before_it_sends() {
    check(Fault::LooksBeforeItSends);
}
