//! The table's rules one by one, then against a model that is simple enough to be right, then under threads.

use super::*;
use crossbeam_channel::{Sender, unbounded};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Wake;

fn claim(path: &str) -> Claim {
    Claim::new(RequestId::next(), path)
}

fn now_or_never(table: &Arc<LockTable>, id: SessionId) -> Option<LockGuard> {
    table.try_acquire(id, &claim("/"), Instant::now())
}

/// A waker that counts.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn parked(table: &Arc<LockTable>, id: SessionId) -> (Waiter, Arc<Count>) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (table.enqueue(id, &claim("/"), Waker::from(Arc::clone(&count))), count)
}

#[test]
fn a_second_one_waits_and_a_stranger_does_not() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id);
    assert!(guard.is_some() && now_or_never(&table, id).is_none());
    assert!(now_or_never(&table, SessionId::random()).is_some());
}

#[test]
fn a_record_exists_only_with_a_holder_or_a_waiter() {
    let table = LockTable::new();
    for _ in 0..10_000 {
        drop(now_or_never(&table, SessionId::random()));
    }
    assert_eq!(table.len(), 0);
    let id = SessionId::random();
    let guard = now_or_never(&table, id);
    let (waiter, _) = parked(&table, id);
    assert_eq!(table.len(), 1);
    drop((guard, waiter));
    assert_eq!(table.len(), 0);
}

#[test]
fn a_panic_releases() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = now_or_never(&table, id).expect("free");
        panic!("the handler fails");
    }));
    assert!(result.is_err() && now_or_never(&table, id).is_some());
}

#[test]
fn waiters_are_served_in_order() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (mut first, first_wakes) = parked(&table, id);
    let (mut second, second_wakes) = parked(&table, id);
    assert!(first.poll().is_none() && second.poll().is_none());
    drop(guard);
    assert_eq!((first_wakes.0.load(Ordering::SeqCst), second_wakes.0.load(Ordering::SeqCst)), (1, 0));
    assert!(second.poll().is_none(), "not his turn");
    let guard = first.poll().expect("his turn");
    assert!(first.poll().is_none(), "polling again gives no second guard");
    drop((first, guard));
    assert!(second.poll().is_some());
}

#[test]
fn no_waiter_overtakes_an_offered_lock() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (mut waiter, _) = parked(&table, id);
    drop(guard);
    assert!(now_or_never(&table, id).is_none());
    assert!(waiter.poll().is_some());
}

#[test]
fn a_waiter_that_gives_up_is_left_out() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (first, _) = parked(&table, id);
    let (mut second, _) = parked(&table, id);
    drop(first);
    drop(guard);
    assert!(second.poll().is_some());
}

#[test]
fn a_waiter_that_gives_up_an_offer_hands_it_on() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (first, _) = parked(&table, id);
    let (mut second, wakes) = parked(&table, id);
    drop(guard);
    drop(first);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(second.poll().is_some());
}

#[test]
fn a_place_in_the_queue_for_a_lock_that_became_free_is_the_lock() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let (mut waiter, _) = parked(&table, id);
    assert!(waiter.poll().is_some());
    assert_eq!(table.len(), 0, "the guard was dropped at once");
}

#[test]
fn a_blocking_waiter_comes_before_the_parked() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (mut parked, wakes) = parked(&table, id);
    let mut blocked = table.enqueue_blocked(id, &claim("/"), Waker::noop().clone());
    let mut later = table.enqueue_blocked(id, &claim("/"), Waker::noop().clone());
    drop(guard);
    assert!(later.poll().is_none());
    drop(blocked.poll().expect("first of those that block"));
    drop(later.poll().expect("second of those that block"));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(parked.poll().is_some());
}

/// Without this, workers that all block on a lock wait for a parked request that needs a worker to take its turn.
#[test]
fn a_blocking_waiter_takes_the_offer_to_a_parked_one() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let (mut parked, wakes) = parked(&table, id);
    drop(guard);
    let deadline = Instant::now();
    let taken = table.acquire_blocking(id, &claim("/"), deadline).expect("nobody runs with the lock");
    assert!(parked.poll().is_none(), "the offer was taken back");
    drop(taken);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 2, "and made again");
    assert!(parked.poll().is_some());
}

#[test]
fn a_blocked_waiter_gives_up_at_its_deadline_and_learns_the_holder() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let _guard = table.try_acquire(id, &claim("/slow"), Instant::now()).expect("free");
    let timed_out = table.acquire_blocking(id, &claim("/fast"), Instant::now()).expect_err("held");
    let holder = timed_out.holder.expect("somebody holds");
    assert_eq!((holder.path.as_str(), holder.waiting), ("/slow", 1));
    assert!(holder.to_string().starts_with(&format!("session {id} is locked by /slow (request ")), "{holder}");
    assert_eq!(table.holder(&id).expect("held").waiting, 0, "his place is given up");
}

#[test]
fn a_blocked_waiter_is_woken_by_the_release() {
    let (table, id) = (LockTable::new(), SessionId::random());
    let guard = now_or_never(&table, id).expect("free");
    let far = Instant::now() + Duration::from_secs(3600);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| table.acquire_blocking(id, &claim("/"), far).is_ok());
        while table.holder(&id).is_some_and(|holder| holder.waiting == 0) {
            std::thread::yield_now();
        }
        drop(guard);
        assert!(blocked.join().expect("no panic"));
    });
}

#[test]
fn a_long_path_is_cut_at_a_character() {
    let path = format!("/{}", "ä".repeat(100));
    let kept = claim(&path).path().to_owned();
    assert!(path.starts_with(&kept) && kept.len() == Claim::PATH_BYTES);
    assert_eq!(claim(&format!("/{path}")).path().len(), Claim::PATH_BYTES - 1);
}

/// Every call is one step under one mutex, so all there is to go wrong is an order of calls. Random orders, against a model in which the
/// holder and the queue are two lines of tickets.
#[test]
fn random_orders_of_calls_agree_with_the_model() {
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (table, id) = (LockTable::new(), SessionId::random());
        let mut guards: Vec<(usize, LockGuard)> = Vec::new();
        let mut waiters: Vec<(usize, bool, Waiter)> = Vec::new();
        let (mut holder, mut parked_line, mut blocked_line) = (None::<usize>, VecDeque::new(), VecDeque::new());
        // What the model says about the next holder; a blocked one goes before an offer that was not taken.
        let next = |blocked: &mut VecDeque<usize>, parked: &mut VecDeque<usize>| {
            blocked.pop_front().or_else(|| parked.pop_front())
        };
        for step in 0..60 {
            match random.below(5) {
                0 => {
                    let guard = now_or_never(&table, id);
                    assert_eq!(guard.is_some(), holder.is_none(), "seed {seed} step {step}");
                    if let Some(guard) = guard {
                        holder = Some(step);
                        guards.push((step, guard));
                    }
                }
                kind @ (1 | 2) => {
                    let blocks = kind == 1;
                    let waiter = if blocks {
                        table.enqueue_blocked(id, &claim("/"), Waker::noop().clone())
                    } else {
                        table.enqueue(id, &claim("/"), Waker::noop().clone())
                    };
                    let offered = waiters.iter().find(|(ticket, _, _)| Some(*ticket) == holder);
                    let can_take = offered.is_some_and(|(ticket, blocks, _)| !blocks && *ticket < TAKEN) && blocks;
                    if can_take {
                        parked_line.extend(holder.take());
                        parked_line.rotate_right(1);
                    }
                    let ticket = if holder.is_none() { step + TAKEN } else { step };
                    match holder {
                        None => holder = Some(ticket),
                        Some(_) if blocks => blocked_line.push_back(ticket),
                        Some(_) => parked_line.push_back(ticket),
                    }
                    waiters.push((ticket, blocks, waiter));
                }
                3 if !guards.is_empty() => {
                    guards.clear();
                    holder = next(&mut blocked_line, &mut parked_line);
                }
                3 if !waiters.is_empty() => {
                    let (ticket, _, waiter) = waiters.swap_remove(random.below(waiters.len()));
                    drop(waiter);
                    blocked_line.retain(|other| *other != ticket);
                    parked_line.retain(|other| *other != ticket);
                    if holder == Some(ticket) {
                        holder = next(&mut blocked_line, &mut parked_line);
                    }
                }
                _ => {
                    let mut got = Vec::new();
                    for (ticket, _, waiter) in &mut waiters {
                        got.extend(waiter.poll().map(|guard| (*ticket, guard)));
                    }
                    let expected = holder.filter(|ticket| waiters.iter().any(|(other, _, _)| other == ticket));
                    let tickets: Vec<_> = got.iter().map(|(ticket, _)| *ticket).collect();
                    assert_eq!(tickets, Vec::from_iter(expected), "seed {seed} step {step}");
                    waiters.retain(|(ticket, _, _)| Some(*ticket) != expected);
                    guards.extend(got);
                }
            }
            assert!(guards.len() <= 1, "two holders: seed {seed} step {step}");
            assert_eq!(table.len(), usize::from(holder.is_some()), "seed {seed} step {step}");
        }
        drop((guards, waiters));
        assert_eq!(table.len(), 0, "seed {seed}");
    }
}

/// Marks the tickets in the model of waiters that took the lock as they came: theirs is no offer that can be taken back.
const TAKEN: usize = 1_000_000;

/// Never two holders, nobody lost, nothing left: with threads that block, requests that park, and both giving up now and then.
#[test]
fn under_threads_there_is_one_holder_and_no_waiter_is_lost() {
    const ROUNDS: usize = 2_000;
    let table = LockTable::new();
    let ids: Vec<_> = (0..3).map(|_| SessionId::random()).collect();
    let inside: Vec<_> = ids.iter().map(|_| AtomicBool::new(false)).collect();
    let entered = AtomicU64::new(0);
    let critical = |index: usize, guard: LockGuard| {
        assert!(!inside[index].swap(true, Ordering::SeqCst), "two holders");
        std::thread::yield_now();
        inside[index].store(false, Ordering::SeqCst);
        drop(guard);
        entered.fetch_add(1, Ordering::Relaxed);
    };
    let far = Instant::now() + Duration::from_secs(3600);
    std::thread::scope(|scope| {
        for seed in 1..=2_u64 {
            let (table, ids, critical) = (&table, &ids, &critical);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..ROUNDS {
                    let index = random.below(ids.len());
                    let deadline = if random.below(8) == 0 { Instant::now() } else { far };
                    if let Ok(guard) = table.acquire_blocking(ids[index], &claim("/blocked"), deadline) {
                        critical(index, guard);
                    }
                }
            });
            scope.spawn(move || {
                let mut random = Random(seed + 100);
                let (wake, woken) = unbounded();
                let mut waiting: Vec<(usize, Waiter)> = Vec::new();
                for round in 0..ROUNDS {
                    let index = random.below(ids.len());
                    let waker = Waker::from(Arc::new(Report(wake.clone())));
                    waiting.push((index, table.enqueue(ids[index], &claim("/parked"), waker)));
                    if random.below(8) == 0 {
                        drop(waiting.swap_remove(random.below(waiting.len())));
                    }
                    // At the end there is nothing but wakes to go on: a lost one would hang here.
                    while waiting.len() > 3 || (round + 1 == ROUNDS && !waiting.is_empty()) {
                        let mut place = 0;
                        let before = waiting.len();
                        while place < waiting.len() {
                            match waiting[place].1.poll() {
                                Some(guard) => critical(waiting.swap_remove(place).0, guard),
                                None => place += 1,
                            }
                        }
                        if waiting.len() == before {
                            woken.recv().expect("somebody wakes");
                        }
                    }
                }
            });
        }
    });
    assert_eq!(table.len(), 0);
    assert!(entered.load(Ordering::Relaxed) > ROUNDS as u64);
}

struct Report(Sender<()>);

impl Wake for Report {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}
