//! Responses that their clients do not take: how much they hold, and which end when all together hold too much.
//!
//! A response is charged when the socket first takes less than there is; one that leaves at once never comes here.
//! Memory counts: content, output, responses collected behind each other. Files and chunks that a stream has not made
//! yet cost none. Content that several responses share, such as pages of the cache, counts once.
//!
//! Beyond `server.memory_for_responses` those responses end first whose clients would be given up first anyhow
//! (`write_timeout`, `write_rate`). So neither the client that has stalled longest nor one that sips outlives a reader
//! that has just fallen behind. The thread that exceeds the budget looks for them, without waiting; the ticker looks
//! again while it is exceeded.

use super::respond::Sending;
use super::{HttpConnection, State};
use crate::exchange::{Budget, Charge, ResponseBody};
use crate::seldom::Seldom;
use crate::server::budgets::Budgets;
use crate::server::clock::Tick;
use crate::server::patience::{Awaited, Pace};
use crate::server::run_queue::Waiting;
use crate::server::workspace::{Output, Shared, Workspace};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// A client that has not taken all there is for it.
pub(super) struct Unread {
    pub(super) client: Awaited,
    own: Charge,
    shared: Option<Arc<Charge>>,
}

impl Unread {
    pub(super) fn new(budgets: &Budgets, pace: Pace) -> Self {
        Self { client: Awaited::new(pace), own: budgets.responses.charge(), shared: None }
    }

    /// Charges the bytes for the client now.
    ///
    /// `held` is what the transport holds of them.
    pub(super) fn charge(&mut self, budgets: &Budgets, sending: Option<&Sending>, output: &Output, held: usize) {
        let content = sending.map(|sending| &sending.request.exchange.response.body);
        let collected = output.answered.iter().map(|answered| own_size(&answered.exchange.response.body));
        let held = (output.bytes.capacity() + held) as u64;
        self.own.force(held + collected.sum::<u64>() + content.map_or(0, own_size));
        if let Some(ResponseBody::Shared(content)) = content
            && self.shared.is_none()
        {
            self.shared = Some(budgets.shared.charge(&budgets.responses, content));
        }
    }

    /// Whether it is more than all together may hold.
    pub(super) fn exceeds_alone(&self, budget: &Budget) -> bool {
        self.own.amount() + self.shared.as_ref().map_or(0, |charge| charge.amount()) > budget.limit()
    }

    /// Whether others would still hold most of it.
    fn is_shared(&self) -> bool {
        self.shared.as_ref().is_some_and(|charge| Arc::strong_count(charge) > 1)
    }
}

/// The memory that only this response holds.
fn own_size(body: &ResponseBody) -> u64 {
    match body {
        ResponseBody::Bytes(content) => content.capacity() as u64,
        _ => 0,
    }
}

/// Contents that responses share, by where they are.
#[derive(Debug, Default)]
pub(in crate::server) struct SharedContents(Mutex<HashMap<(usize, usize), Weak<Charge>>>);

impl SharedContents {
    /// One charge for all who hold this content.
    fn charge(&self, budget: &Arc<Budget>, content: &bytes::Bytes) -> Arc<Charge> {
        let place = (content.as_ptr() as usize, content.len());
        let mut contents = self.0.lock();
        if let Some(charge) = contents.get(&place).and_then(Weak::upgrade) {
            return charge;
        }
        contents.retain(|_, charge| charge.strong_count() > 0);
        let mut charge = budget.charge();
        charge.force(content.len() as u64);
        let charge = Arc::new(charge);
        contents.insert(place, Arc::downgrade(&charge));
        charge
    }
}

impl HttpConnection {
    /// Charges the rest of the response. False when all responses together are beyond the budget.
    pub(super) fn charge_unread(&mut self, work: &Workspace, sending: Option<&Sending>) -> bool {
        let Shared { budgets, settings, .. } = &*work.shared;
        let reader = self.reader.get_or_insert_with(|| Box::new(Unread::new(budgets, settings.write_pace())));
        reader.charge(budgets, sending, &work.output, self.transport.held());
        budgets.responses.has_room_for(0)
    }

    /// Ends a response that its client does not take. A worker tells the service; the memory is free at once.
    fn evict(&mut self) {
        self.reader = None;
        #[cfg(feature = "websocket")]
        if let State::Speaking(speaking) = &mut self.state {
            speaking.cut_off();
            if let Some(unsent) = &mut self.unsent {
                unsent.bytes = Vec::new();
            }
            return;
        }
        let mut undelivered = std::mem::take(&mut self.state).into_undelivered();
        let exchange = undelivered.as_mut().map(|undelivered| &mut undelivered.exchange);
        if let Some(body) = exchange.map(|exchange| &mut exchange.response.body)
            && matches!(body, ResponseBody::Bytes(_) | ResponseBody::Shared(_))
        {
            *body = ResponseBody::Empty;
        }
        self.state = State::Lost(undelivered);
        if let Some(unsent) = &mut self.unsent {
            unsent.bytes = Vec::new();
            unsent.answered.iter_mut().for_each(|answered| answered.exchange.response.body = ResponseBody::Empty);
        }
    }
}

/// Ends responses until the rest fits. Connections with an owner at the moment, such as those of running handlers, are
/// left alone.
pub(in crate::server) fn keep_within_budget(shared: &Shared) {
    let Budgets { responses, is_evicting, .. } = &shared.budgets;
    if responses.has_room_for(0) || is_evicting.swap(true, Ordering::Acquire) {
        return;
    }
    let scheduler = &shared.scheduler;
    let slab = &scheduler.slab;
    let mut held: Vec<(bool, Tick, u32)> = Vec::new();
    // An idle connection holds nothing, and one that was claimed would not count as idle any more.
    for index in slab.indexes().filter(|&index| !slab.is_idle(index)) {
        let Some(deadline) = slab.deadline(index) else { continue };
        let Some(mut owned) = slab.claim_if_free(index) else { continue };
        if let Some(reader) = &owned.connection().reader {
            held.push((reader.is_shared(), deadline, index));
        }
        scheduler.put_down(owned);
    }
    let now = scheduler.clock.now();
    held.sort_by_key(|&(is_shared, deadline, _)| (is_shared, deadline.left(now)));
    for (_, _, index) in held {
        if responses.has_room_for(0) {
            break;
        }
        let Some(mut owned) = slab.claim_if_free(index) else { continue };
        // It may have moved on since the look.
        if owned.connection().reader.is_none() {
            scheduler.put_down(owned);
            continue;
        }
        owned.connection().evict();
        scheduler.push(owned, Waiting::Worker);
        tell(responses);
    }
    is_evicting.store(false, Ordering::Release);
}

/// Counts a response that cannot be sent from memory at all; the log hears of it now and then.
#[cold]
pub(super) fn tell_too_large(responses: &Budget) {
    if responses.refused().is_some() {
        let limit = responses.limit();
        crate::line::record!(
            Error,
            target: "kirsch::error",
            "server.memory_for_responses: a response of more than {limit} bytes was cut off, since no budget is left for it whatever \
             others hold; send it as a file or as a stream, or raise the setting"
        );
    }
}

/// Counts a response that was ended; the log hears of it now and then.
fn tell(responses: &Budget) {
    if let Some(unsaid) = responses.refused() {
        let (limit, quiet) = (responses.limit(), Seldom::QUIET.as_secs());
        crate::line::record!(
            Warn,
            target: "kirsch::error",
            "server.memory_for_responses: responses that their clients do not take hold more than {limit} bytes; those that have \
             waited longest are cut off; {unsaid} more were since the last such line; there is one every {quiet} s"
        );
    }
}
