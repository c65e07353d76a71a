//! Which locks are free: memcached sends no messages, so one message to each server asks for all the locks there.

use super::client::Request;
use super::connection::Outcome;
use super::{Engine, lock_key};
use crate::sessions::stores::polling::Polled;
use crate::sessions::{SessionId, StoreError};
use std::collections::HashSet;
use std::time::Duration;

/// Locks in one message.
const BATCH: usize = 100;

impl Polled for Engine {
    const THREAD: &'static str = "kirsch-memcached-locks";
    const LONGEST: Duration = Duration::from_millis(20);

    fn free(&self, watched: &[SessionId]) -> Result<HashSet<SessionId>, StoreError> {
        let mut by_server: Vec<Vec<(SessionId, Request)>> = Vec::new();
        for id in watched {
            let key = self.key(id);
            let number = self.client.server_number(&key);
            if by_server.len() <= number {
                by_server.resize_with(number + 1, Vec::new);
            }
            by_server[number].push((*id, Request::exists(&lock_key(&key))));
        }
        let mut free = HashSet::new();
        for (number, mut locks) in by_server.into_iter().enumerate() {
            while !locks.is_empty() {
                let batch = locks.split_off(locks.len().saturating_sub(BATCH));
                let (ids, requests): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                let answers = self.client.ask_server(number, &requests)?;
                let absent = ids.iter().zip(answers).filter(|(_, answer)| answer.outcome != Outcome::Done);
                free.extend(absent.map(|(id, _)| *id));
            }
        }
        Ok(free)
    }
}
