//! The list's rules one by one, then against a model that is simple enough to be right, then under threads.

use super::*;
use crate::exchange::RequestId;
use crate::primitive::Unpark;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Wake;

type List = WaitList<&'static str>;

fn list(places: usize) -> List {
    WaitList::new("a place", places)
}

fn claim() -> Claim {
    Claim::new(RequestId::next(), "/")
}

fn now_or_never(list: &List, key: &'static str) -> Option<Place<&'static str>> {
    list.try_enter(key, &claim())
}

/// A waker that counts.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn in_line(list: &List, class: Class) -> (Turn<&'static str>, Arc<Count>) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    match list.enter("a", &claim(), class, || Waker::from(Arc::clone(&count))) {
        Entered::Turn(turn) => (turn, count),
        other => panic!("there is no place free, and room in the line: {other:?}"),
    }
}

fn usual(list: &List) -> (Turn<&'static str>, Arc<Count>) {
    in_line(list, Class::Usual)
}

fn wakes(count: &Count) -> usize {
    count.0.load(Ordering::SeqCst)
}

fn place<K: Hash + Eq + Clone, S: BuildHasher>(turn: &mut Turn<K, S>) -> Option<Place<K, S>> {
    match turn.poll() {
        Poll::Ready(place) => place,
        Poll::Pending => None,
    }
}

#[test]
fn one_more_than_there_are_places_waits_and_a_stranger_does_not() {
    let list = list(2);
    let places = (now_or_never(&list, "a"), now_or_never(&list, "a"));
    assert!(places.0.is_some() && places.1.is_some() && now_or_never(&list, "a").is_none());
    assert!(now_or_never(&list, "b").is_some());
}

#[test]
fn a_line_exists_only_while_somebody_has_a_place() {
    let list = list(1);
    drop(now_or_never(&list, "a"));
    assert_eq!(list.len(), 0);
    let place = now_or_never(&list, "a");
    let (turn, _) = usual(&list);
    assert_eq!(list.len(), 1);
    drop((place, turn));
    assert_eq!((list.len(), list.statistics().held), (0, 0));
}

#[test]
fn a_panic_gives_the_place_back() {
    let list = list(1);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _place = now_or_never(&list, "a").expect("free");
        panic!("the handler fails");
    }));
    assert!(result.is_err() && now_or_never(&list, "a").is_some());
}

#[test]
fn those_in_line_are_served_in_the_order_in_which_they_came() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let ((mut first, first_wakes), (mut second, second_wakes)) = (usual(&list), usual(&list));
    assert!(place(&mut first).is_none() && place(&mut second).is_none());
    drop(held);
    assert_eq!((wakes(&first_wakes), wakes(&second_wakes)), (1, 0));
    assert!(place(&mut second).is_none(), "not its turn");
    let held = place(&mut first).expect("its turn");
    assert!(place(&mut first).is_none(), "polling again gives no second place");
    drop((first, held));
    assert!(place(&mut second).is_some());
}

#[test]
fn nobody_overtakes_a_place_that_is_offered() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let (mut turn, _) = usual(&list);
    drop(held);
    assert!(now_or_never(&list, "a").is_none());
    assert!(place(&mut turn).is_some());
}

#[test]
fn whoever_gives_up_is_left_out() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let ((first, _), (mut second, _)) = (usual(&list), usual(&list));
    drop(first);
    drop(held);
    assert!(place(&mut second).is_some());
}

#[test]
fn whoever_gives_up_what_was_just_offered_hands_it_on() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let ((first, _), (mut second, second_wakes)) = (usual(&list), usual(&list));
    drop(held);
    drop(first);
    assert_eq!(wakes(&second_wakes), 1);
    assert!(place(&mut second).is_some());
}

#[test]
fn a_place_that_became_free_while_the_waker_was_made_is_taken() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let entered = list.enter("a", &claim(), Class::Usual, || {
        drop(held);
        Waker::noop().clone()
    });
    assert!(matches!(entered, Entered::Place(_)));
}

#[test]
fn urgent_ones_come_before_usual_ones() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let (mut last, last_wakes) = usual(&list);
    let ((mut first, _), (mut second, _)) = (in_line(&list, Class::Urgent), in_line(&list, Class::Urgent));
    drop(held);
    assert!(place(&mut second).is_none());
    drop(place(&mut first).expect("first of the urgent ones"));
    drop(place(&mut second).expect("second of the urgent ones"));
    assert_eq!(wakes(&last_wakes), 1);
    assert!(place(&mut last).is_some());
}

/// Without this, workers that all block for a place wait for a parked request that needs a worker to take its turn.
#[test]
fn an_urgent_one_takes_what_was_offered_to_a_usual_one() {
    let list = list(1);
    let held = now_or_never(&list, "a").expect("free");
    let (mut usual, wake_ups) = usual(&list);
    drop(held);
    let entered = list.enter("a", &claim(), Class::Urgent, Unpark::waker);
    let Entered::Place(taken) = entered else { panic!("nobody runs with the place: {entered:?}") };
    assert!(place(&mut usual).is_none(), "the offer was taken back");
    drop(taken);
    assert_eq!(wakes(&wake_ups), 2, "and made again");
    assert!(place(&mut usual).is_some());
}

#[test]
fn reserved_places_are_for_urgent_ones() {
    let list = list(3).reserve_for_urgent(1);
    let usual_ones: Vec<_> = (0..5).filter_map(|_| now_or_never(&list, "a")).collect();
    let (turn, _) = usual(&list);
    let enter = || list.enter("a", &claim(), Class::Urgent, || Waker::noop().clone());
    let (first, second) = (enter(), enter());
    assert_eq!(usual_ones.len(), 2);
    assert!(matches!((&first, &second), (Entered::Place(_), Entered::Turn(_))), "{first:?} {second:?}");
    drop((turn, usual_ones, first, second));
    assert_eq!(list.len(), 0);
}

#[test]
fn a_full_line_refuses() {
    let list = list(1).max_waiting(1);
    let _held = now_or_never(&list, "a").expect("free");
    let (_turn, _) = usual(&list);
    assert!(matches!(list.enter("a", &claim(), Class::Usual, || panic!("no waker is needed")), Entered::Full));
    assert_eq!((list.statistics().waiting, list.statistics().refused), (1, 1));
}

#[test]
fn whoever_is_dismissed_waits_for_nothing() {
    let list = list(1);
    let held = now_or_never(&list, "a");
    let ((mut first, first_wakes), (second, second_wakes)) = (usual(&list), usual(&list));
    let mut wakers = Vec::new();
    list.dismiss(&"a", &mut wakers);
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!((wakes(&first_wakes), wakes(&second_wakes)), (1, 1));
    assert!(matches!(first.poll(), Poll::Ready(None)));
    drop((first, second));
    assert!(list.is_held(&"a"));
    drop(held);
    assert_eq!(list.len(), 0);
}

#[test]
fn a_place_that_was_revoked_is_the_next_ones() {
    let list = list(1);
    let revoked = now_or_never(&list, "a").expect("free");
    let (mut turn, wake_ups) = usual(&list);
    let mut wakers = Vec::new();
    list.revoke(&"a", &mut wakers);
    list.revoke(&"a", &mut wakers);
    assert_eq!((revoked.is_revoked(), wakers.len(), wakes(&wake_ups)), (true, 1, 0), "an offer is not revoked");
    let held = place(&mut turn).expect("its turn");
    drop(revoked);
    assert!(!held.is_revoked() && now_or_never(&list, "a").is_none());
    drop(held);
    assert_eq!(list.len(), 0);
}

#[test]
fn it_is_known_who_is_in_the_way() {
    let list = list(2);
    let slow = Claim::new(RequestId::next(), "/slow");
    let held = (list.try_enter("a", &slow).expect("free"), now_or_never(&list, "a"));
    let (turn, _) = usual(&list);
    let behind = turn.behind();
    assert!(behind.starts_with(&format!("held by /slow (request {}) for ", slow.request())), "{behind}");
    assert!(behind.ends_with(" and 1 more, 1 waiting"), "{behind}");
    held.0.set_elsewhere(true);
    assert!(turn.behind().starts_with("held in another process; /slow (request"), "{}", turn.behind());
    drop(held);
    assert_eq!(list.status(&"a").map(|status| (status.held, status.waiting)), Some((1, 0)), "the offer counts");
}

/// Every call is one step under one lock, so all there is to go wrong is an order of calls. Random orders, against a
/// model in which the holder and the line are two rows of tickets.
#[test]
fn random_orders_of_calls_agree_with_the_model() {
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let list = list(1);
        let mut places: Vec<(usize, Place<&'static str>)> = Vec::new();
        let mut turns: Vec<(usize, Class, Turn<&'static str>)> = Vec::new();
        let (mut holder, mut usual_line, mut urgent_line) = (None::<usize>, VecDeque::new(), VecDeque::new());
        // What the model says about the next holder; an urgent one goes before an offer that was not taken.
        let next = |urgent: &mut VecDeque<usize>, usual: &mut VecDeque<usize>| {
            urgent.pop_front().or_else(|| usual.pop_front())
        };
        for step in 0..60 {
            match random.below(5) {
                0 => {
                    let place = now_or_never(&list, "a");
                    assert_eq!(place.is_some(), holder.is_none(), "seed {seed} step {step}");
                    if let Some(place) = place {
                        holder = Some(step);
                        places.push((step, place));
                    }
                }
                kind @ (1 | 2) => {
                    let class = if kind == 1 { Class::Urgent } else { Class::Usual };
                    let offered = turns.iter().find(|(ticket, _, _)| Some(*ticket) == holder);
                    if class == Class::Urgent && offered.is_some_and(|(_, class, _)| *class == Class::Usual) {
                        usual_line.extend(holder.take());
                        usual_line.rotate_right(1);
                    }
                    match (list.enter("a", &claim(), class, || Waker::noop().clone()), holder) {
                        (Entered::Place(place), None) => {
                            holder = Some(step);
                            places.push((step, place));
                        }
                        (Entered::Turn(turn), Some(_)) => {
                            let line = if class == Class::Urgent { &mut urgent_line } else { &mut usual_line };
                            line.push_back(step);
                            turns.push((step, class, turn));
                        }
                        (entered, holder) => panic!("{entered:?} behind {holder:?}: seed {seed} step {step}"),
                    }
                }
                3 if !places.is_empty() => {
                    places.clear();
                    holder = next(&mut urgent_line, &mut usual_line);
                }
                3 if !turns.is_empty() => {
                    let (ticket, _, turn) = turns.swap_remove(random.below(turns.len()));
                    drop(turn);
                    urgent_line.retain(|other| *other != ticket);
                    usual_line.retain(|other| *other != ticket);
                    if holder == Some(ticket) {
                        holder = next(&mut urgent_line, &mut usual_line);
                    }
                }
                _ => {
                    let mut got = Vec::new();
                    for (ticket, _, turn) in &mut turns {
                        got.extend(place(turn).map(|place| (*ticket, place)));
                    }
                    let expected = holder.filter(|ticket| turns.iter().any(|(other, _, _)| other == ticket));
                    let tickets: Vec<_> = got.iter().map(|(ticket, _)| *ticket).collect();
                    assert_eq!(tickets, Vec::from_iter(expected), "seed {seed} step {step}");
                    turns.retain(|(ticket, _, _)| Some(*ticket) != expected);
                    places.extend(got);
                }
            }
            assert!(places.len() <= 1, "two holders: seed {seed} step {step}");
            assert_eq!(list.len(), usize::from(holder.is_some()), "seed {seed} step {step}");
        }
        drop((places, turns));
        assert_eq!(list.len(), 0, "seed {seed}");
    }
}

/// Never two holders, no waiter lost, nothing left: with threads that block, requests that park, and both giving up now
/// and then.
#[test]
fn under_threads_there_is_one_holder_and_nobody_is_lost() {
    const ROUNDS: usize = 2_000;
    const KEYS: [&str; 3] = ["a", "b", "c"];
    let list = list(1);
    let inside = KEYS.map(|_| AtomicBool::new(false));
    let entered = AtomicU64::new(0);
    let critical = |index: usize, place: Place<&'static str>| {
        assert!(!inside[index].swap(true, Ordering::SeqCst), "two holders");
        std::thread::yield_now();
        inside[index].store(false, Ordering::SeqCst);
        drop(place);
        entered.fetch_add(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for seed in 1..=2_u64 {
            let (list, critical) = (&list, &critical);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..ROUNDS {
                    let index = random.below(KEYS.len());
                    let left = if random.below(8) == 0 { Duration::ZERO } else { Duration::from_secs(3600) };
                    let place = match list.enter(KEYS[index], &claim(), Class::Urgent, Unpark::waker) {
                        Entered::Place(place) => Some(place),
                        Entered::Turn(mut turn) => turn.wait_here(|| left),
                        Entered::Full => panic!("there are few"),
                    };
                    place.into_iter().for_each(|place| critical(index, place));
                }
            });
            scope.spawn(move || {
                let mut random = Random(seed + 100);
                let (wake, woken) = mpsc::channel();
                let mut waiting: Vec<(usize, Turn<&'static str>)> = Vec::new();
                for round in 0..ROUNDS {
                    let index = random.below(KEYS.len());
                    let waker = || Waker::from(Arc::new(Report(wake.clone())));
                    match list.enter(KEYS[index], &claim(), Class::Usual, waker) {
                        Entered::Place(place) => critical(index, place),
                        Entered::Turn(turn) => waiting.push((index, turn)),
                        Entered::Full => panic!("there are few"),
                    }
                    if random.below(8) == 0 && !waiting.is_empty() {
                        drop(waiting.swap_remove(random.below(waiting.len())));
                    }
                    // At the end there is nothing but wakes to go on: a lost one would hang here.
                    while waiting.len() > 3 || (round + 1 == ROUNDS && !waiting.is_empty()) {
                        let mut index = 0;
                        let before = waiting.len();
                        while index < waiting.len() {
                            match place(&mut waiting[index].1) {
                                Some(place) => critical(waiting.swap_remove(index).0, place),
                                None => index += 1,
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
    assert_eq!(list.len(), 0);
    assert!(entered.load(Ordering::Relaxed) > ROUNDS as u64);
}

struct Report(mpsc::Sender<()>);

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
