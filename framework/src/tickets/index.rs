//! The kinds of failures with their counts, in memory, and the bounds of the folder.
//!
//! No look at the disk is made here. The thread of the folder puts in what it has read and written, and gets back what
//! it is to remove.

use crate::exchange::RequestId;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use twox_hash::XxHash3_128;

/// Most tickets of one kind of failure.
pub(super) const MAX_OF_A_KIND: usize = 10;
/// Most tickets of all kinds.
pub(super) const MAX_TICKETS: usize = 1000;
/// Most kinds that are counted.
const MAX_KINDS: usize = 1000;
/// Of a kind with all of its tickets the oldest is replaced this often, so that there is one of the present program.
const REFRESH: Duration = Duration::from_secs(600);

/// The fingerprint of a failure: texts that the program makes, none that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureKind {
    /// The type of the error, or `panic`.
    pub(crate) error: String,
    /// Where it happened, as `src/main.rs:12:9`; else the part that failed.
    pub(crate) place: String,
    /// The handler's route, as `/price/{fruit}`.
    pub(crate) route: String,
}

impl FailureKind {
    pub(super) fn key(&self) -> u64 {
        let text = format!("{}\n{}\n{}", self.error, self.place, self.route);
        u64::try_from(XxHash3_128::oneshot(text.as_bytes()) >> 64).unwrap_or_default()
    }
}

/// The failures of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) kind: FailureKind,
    /// What the last one with a ticket said.
    pub(crate) message: String,
    /// How often it was.
    pub(crate) count: u64,
    /// When the last one was; RFC 3339.
    pub(crate) last: String,
    /// The tickets with their times, the oldest first.
    pub(crate) tickets: Vec<(String, RequestId)>,
}

/// The answer to a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is to be written down, in the group of this key.
    Wanted(u64),
    Enough,
}

#[derive(Debug, Default)]
pub(super) struct TicketIndex {
    groups: HashMap<u64, GroupAtWork>,
    /// Tickets of kinds that were forgotten, still in the folder.
    forgotten: Vec<RequestId>,
}

#[derive(Debug)]
struct GroupAtWork {
    group: Group,
    /// Tickets that were wanted and are not written yet.
    under_way: usize,
    /// When the last ticket was wanted, in this process.
    wanted: Option<Instant>,
}

impl TicketIndex {
    pub(super) fn count(&mut self, kind: FailureKind, time: &str, now: Instant) -> Counted {
        let key = kind.key();
        if self.groups.len() >= MAX_KINDS && !self.groups.contains_key(&key) {
            self.forget_a_kind();
        }
        let at_work = self.at(key, kind);
        let group = &mut at_work.group;
        group.count += 1;
        // A clock may have been set back.
        if *group.last < *time {
            time.clone_into(&mut group.last);
        }
        let is_old = at_work.wanted.is_none_or(|wanted| now.saturating_duration_since(wanted) >= REFRESH);
        if group.tickets.len() + at_work.under_way >= MAX_OF_A_KIND && !(is_old && at_work.under_way == 0) {
            return Counted::Enough;
        }
        at_work.under_way += 1;
        at_work.wanted = Some(now);
        Counted::Wanted(key)
    }

    /// A ticket that was wanted does not come.
    pub(super) fn give_up(&mut self, key: u64) {
        if let Some(at_work) = self.groups.get_mut(&key) {
            at_work.under_way = at_work.under_way.saturating_sub(1);
        }
    }

    /// A ticket that was wanted is in the folder. Returns those that are to be removed from it.
    pub(super) fn written(&mut self, key: u64, number: RequestId, time: String, message: String) -> Vec<RequestId> {
        self.give_up(key);
        match self.groups.get_mut(&key) {
            Some(GroupAtWork { group, .. }) => {
                group.tickets.push((time, number));
                group.message = message;
            }
            None => return vec![number],
        }
        self.trim()
    }

    /// A ticket of an earlier process was found in the folder.
    pub(super) fn found(&mut self, kind: FailureKind, message: String, time: String, number: RequestId) {
        let key = kind.key();
        let group = &mut self.at(key, kind).group;
        if group.last < time {
            (group.last, group.message) = (time.clone(), message);
        }
        let index = group.tickets.partition_point(|(earlier, _)| *earlier <= time);
        group.tickets.insert(index, (time, number));
    }

    /// Adds the counts of earlier processes, once all of their tickets are found. Of each kind there are at least as
    /// many failures as tickets.
    pub(super) fn add_counts(&mut self, counted: impl Fn(u64) -> u64) {
        for (key, at_work) in &mut self.groups {
            at_work.group.count += counted(*key).max(at_work.group.tickets.len() as u64);
        }
    }

    /// Keeps the bounds. Returns the tickets that are not kept.
    pub(super) fn trim(&mut self) -> Vec<RequestId> {
        let mut removed = std::mem::take(&mut self.forgotten);
        for at_work in self.groups.values_mut() {
            let more = at_work.group.tickets.len().saturating_sub(MAX_OF_A_KIND);
            removed.extend(at_work.group.tickets.drain(..more).map(|(_, number)| number));
        }
        let mut all: usize = self.groups.values().map(|at_work| at_work.group.tickets.len()).sum();
        while all > MAX_TICKETS {
            let first = |at_work: &GroupAtWork| at_work.group.tickets.first().map(|(time, _)| time.clone());
            let oldest = self.groups.iter().filter_map(|(key, at_work)| Some((first(at_work)?, *key))).min();
            let Some(at_work) = oldest.and_then(|(_, key)| self.groups.get_mut(&key)) else { break };
            removed.push(at_work.group.tickets.remove(0).1);
            all -= 1;
        }
        removed
    }

    /// Forgets a ticket, and its kind with the last of it. Whether there was one of this number.
    pub(super) fn forget(&mut self, number: RequestId) -> bool {
        let is_it = |(_, of): &(String, RequestId)| *of == number;
        let found = self.groups.iter().find(|(_, at_work)| at_work.group.tickets.iter().any(is_it));
        let Some(key) = found.map(|(key, _)| *key) else { return false };
        if let Some(GroupAtWork { group, under_way, .. }) = self.groups.get_mut(&key) {
            group.tickets.retain(|ticket| !is_it(ticket));
            if group.tickets.is_empty() && *under_way == 0 {
                self.groups.remove(&key);
            }
        }
        true
    }

    pub(super) fn has(&self, number: RequestId) -> bool {
        self.groups.values().any(|at_work| at_work.group.tickets.iter().any(|(_, of)| *of == number))
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<_> = self.groups.values().map(|at_work| at_work.group.clone()).collect();
        groups.sort_by(|one, other| other.last.cmp(&one.last));
        groups
    }

    pub(super) fn counts(&self) -> Vec<(u64, u64)> {
        self.groups.iter().map(|(key, at_work)| (*key, at_work.group.count)).collect()
    }

    /// How many failures, kinds and tickets there are, and when the last failure was.
    pub(super) fn sums(&self) -> (u64, usize, usize, Option<String>) {
        let groups = || self.groups.values().map(|at_work| &at_work.group);
        let tickets = groups().map(|group| group.tickets.len()).sum();
        let last = groups().map(|group| &group.last).max().cloned();
        (groups().map(|group| group.count).sum(), self.groups.len(), tickets, last)
    }

    fn at(&mut self, key: u64, kind: FailureKind) -> &mut GroupAtWork {
        self.groups.entry(key).or_insert_with(|| GroupAtWork {
            group: Group { kind, message: String::new(), count: 0, last: String::new(), tickets: Vec::new() },
            under_way: 0,
            wanted: None,
        })
    }

    /// Makes room for another kind: the one that was longest ago goes, with its tickets.
    fn forget_a_kind(&mut self) {
        let idle = self.groups.iter().filter(|(_, at_work)| at_work.under_way == 0);
        let oldest = idle.min_by(|one, other| one.1.group.last.cmp(&other.1.group.last)).map(|(key, _)| *key);
        if let Some(at_work) = oldest.and_then(|key| self.groups.remove(&key)) {
            self.forgotten.extend(at_work.group.tickets.into_iter().map(|(_, number)| number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(number: usize) -> FailureKind {
        FailureKind { error: "panic".to_owned(), place: format!("src/main.rs:{number}:1"), route: "/".to_owned() }
    }

    fn number(bits: usize) -> RequestId {
        RequestId::from_bits(bits as u64)
    }

    fn wanted(index: &mut TicketIndex, of: usize, now: Instant) -> Option<u64> {
        match index.count(kind(of), "2026", now) {
            Counted::Wanted(key) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn a_flood_of_one_kind_is_ten_tickets_and_a_count() {
        let (mut index, now) = (TicketIndex::default(), Instant::now());
        let keys = (0..100_000).filter_map(|_| wanted(&mut index, 1, now)).collect::<Vec<_>>();
        assert_eq!(keys.len(), MAX_OF_A_KIND);
        assert_eq!(index.groups()[0].count, 100_000);
    }

    #[test]
    fn a_full_kind_gets_a_new_ticket_for_its_oldest_now_and_then() {
        let (mut index, now) = (TicketIndex::default(), Instant::now());
        for bits in 0..MAX_OF_A_KIND {
            let key = wanted(&mut index, 1, now).unwrap();
            assert!(index.written(key, number(bits), format!("{bits:02}"), String::new()).is_empty());
        }
        assert_eq!(wanted(&mut index, 1, now + REFRESH / 2), None);
        let key = wanted(&mut index, 1, now + REFRESH).unwrap();
        assert_eq!(wanted(&mut index, 1, now + REFRESH), None);
        assert_eq!(index.written(key, number(99), "99".to_owned(), String::new()), [number(0)]);
    }

    #[test]
    fn of_many_kinds_the_oldest_go_with_their_tickets() {
        let (mut index, now) = (TicketIndex::default(), Instant::now());
        let mut removed = Vec::new();
        for bits in 0..MAX_KINDS + 3 {
            let time = format!("{bits:06}");
            assert_eq!(index.count(kind(bits), &time, now), Counted::Wanted(kind(bits).key()));
            removed.extend(index.written(kind(bits).key(), number(bits), time, String::new()));
        }
        assert_eq!(removed, [0, 1, 2].map(number));
        assert_eq!((index.groups.len(), index.sums().2), (MAX_KINDS, MAX_TICKETS));
    }

    #[test]
    fn of_too_many_tickets_the_oldest_go() {
        let mut index = TicketIndex::default();
        for bits in 0..MAX_TICKETS + 5 {
            index.found(kind(bits / MAX_OF_A_KIND), String::new(), format!("{bits:06}"), number(bits));
        }
        assert_eq!(index.trim(), [0, 1, 2, 3, 4].map(number));
        assert_eq!(index.sums().2, MAX_TICKETS);
    }
}
