//! The acceptor at a full slab: idle connections make room, those that have sent a request do not, and the slot is used
//! again.
//!
//! Two connections fill the slab. The first has sent its job, whose event may not have been taken yet; the second is
//! silent. The acceptor closes idle ones as `acceptor.rs` does, without the clock: bytes in the socket count, bytes on
//! their way do not.

use super::*;

/// A mistake of the acceptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// It does not look whether something has been received.
    BlindToInput,
    /// The acceptor keeps a connection that it has looked at and not closed.
    NotPutDown,
}

fn make_room(scheduler: &Scheduler<Visitor>, mistake: Mistake) {
    while scheduler.slab.open() >= scheduler.slab.capacity() {
        for index in scheduler.slab.indexes().filter(|&index| scheduler.slab.is_idle(index)) {
            let Some(mut owned) = scheduler.slab.claim_if_free(index) else { continue };
            let visitor = owned.connection();
            let received = rustix::net::recv(&visitor.socket, &mut [0], rustix::net::RecvFlags::PEEK);
            let is_silent = visitor.jobs.is_empty() && !matches!(received, Ok((_, 1..)));
            if is_silent || mistake == Mistake::BlindToInput {
                break;
            }
            if mistake == Mistake::NotPutDown {
                std::mem::forget(owned);
            } else {
                scheduler.put_down(owned);
            }
        }
        thread::yield_now();
    }
}

fn a_newcomer_at_a_full_slab(mistake: Mistake) {
    check(SCHEDULES, move || {
        let mut play = Play::new(2, 2, "ss", None);
        play.peers[0].write_all(b"s").expect("room for a byte");
        make_room(&play.scheduler, mistake);
        let (socket, mut far) = UnixStream::pair().expect("a socket pair");
        socket.set_nonblocking(true).expect("a valid option");
        far.write_all(b"s").expect("room for a byte");
        let visitor = Visitor { socket, stage: play.stage.clone(), inside: AtomicUsize::new(0), jobs: Vec::new() };
        play.scheduler.insert(visitor, play.scheduler.clock.now()).expect("room was made");
        play.peers.push(far);
        // News for the earlier tenant of the slot.
        play.scheduler.wake(Token::from_bits(1), Edges::READABLE, Waiting::Turn);
        play.end();
    });
}

#[test]
fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    a_newcomer_at_a_full_slab(Mistake::None);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_an_acceptor_that_closes_what_has_sent_a_request() {
    a_newcomer_at_a_full_slab(Mistake::BlindToInput);
}

#[test]
#[should_panic(expected = "exceeded max_steps")]
fn found_an_acceptor_that_keeps_what_it_looked_at() {
    a_newcomer_at_a_full_slab(Mistake::NotPutDown);
}
