//! The second half of a request: from the handler's result, or a failure, to the final response.
//!
//! The stages and the table of hooks are at the top of `run.rs`.

use super::admission::Passed;
use super::application::Application;
use super::funnel::make_deferred;
use super::stream_place::StreamPlace;
use super::{Flow, HookPoint, conditions};
use crate::exchange::{Error, Exchange, Pending, Rescue, ResponseBody, Stage, Stream, Wakers};
use crate::logs;
use crate::panics::guarded;

impl Application {
    /// From the handler's result to the response as the hooks of `before_finalize` get it. `Some` is the path with
    /// which a failed request goes on instead.
    pub(super) fn settle(&self, exchange: &mut Exchange, result: Result<(), Error>) -> Option<String> {
        StreamPlace::give_back(exchange);
        exchange.course.parked = None;
        exchange.course.pending = Pending::Nothing;
        if let Err(error) = result.and_then(|()| make_deferred(exchange)) {
            if matches!(exchange.course.rescue, Rescue::Impossible) {
                exchange.course.rescue = Rescue::Possible;
            }
            self.funnel(exchange).settle(exchange, error);
            match std::mem::take(&mut exchange.course.rescue) {
                Rescue::Wanted(target) => {
                    exchange.course.rescue = Rescue::Done;
                    return Some(target);
                }
                Rescue::Done => exchange.course.rescue = Rescue::Done,
                Rescue::Impossible | Rescue::Possible => {}
            }
        }
        let failed = exchange.course.failed;
        exchange.course.stage = Stage::Finishing { next: 0, failed, only_always: failed };
        None
    }

    /// From there to the final response. Without `wakers` nothing is parked.
    pub(super) fn finish(&self, exchange: &mut Exchange, wakers: Option<&dyn Wakers>) -> Passed {
        if let Passed::Parked(park) = self.before_finalize(exchange, wakers) {
            return Passed::Parked(park);
        }
        self.finalize(exchange);
        exchange.course.stage = Stage::Final;
        self.end_resource(exchange);
        Passed::Through
    }

    /// As [`run_point`], but an error becomes the response at once, so that the `always` hooks that follow see it.
    fn before_finalize(&self, exchange: &mut Exchange, wakers: Option<&dyn Wakers>) -> Passed {
        let Stage::Finishing { next: first, mut failed, mut only_always } = exchange.course.stage else {
            return Passed::Through;
        };
        for (index, hook) in self.plan(exchange).hooks(HookPoint::BeforeFinalize).iter().enumerate().skip(first) {
            if only_always && !hook.always {
                continue;
            }
            let result = match (hook.admit(), wakers) {
                (Some(admit), Some(wakers)) => {
                    let since = exchange.course.parked.as_ref().map(|parked| parked.since);
                    let passed = hook.call_or_park(admit, exchange, wakers);
                    self.count_wait(since, &passed);
                    match passed {
                        Ok(Passed::Parked(park)) => {
                            exchange.course.stage = Stage::Finishing { next: index, failed, only_always };
                            self.note_parked(park, exchange);
                            return Passed::Parked(park);
                        }
                        Ok(Passed::Through) => continue,
                        Err(error) => Err(error),
                    }
                }
                _ => hook.call(exchange),
            };
            match result {
                Ok(Flow::Continue) => continue,
                Ok(Flow::Answer(answer)) if !only_always => exchange.response.give_way_to(answer),
                Ok(Flow::Answer(_)) => hook.log_late_answer(exchange),
                Err(error) if failed => logs::error_in(exchange, hook.tool, &error),
                Err(error) => {
                    failed = true;
                    self.funnel(exchange).settle(exchange, error);
                }
            }
            only_always = true;
        }
        Passed::Through
    }

    /// Last checks of the response; from here on it is only sent.
    fn finalize(&self, exchange: &mut Exchange) {
        // An answer of a late hook may be deferred, too.
        if let Err(error) = make_deferred(exchange) {
            self.funnel(exchange).settle(exchange, error);
        }
        if let Some(error) = exchange.response.take_unsendable() {
            self.funnel(exchange).settle(exchange, *error);
        }
        let status = exchange.response.status();
        if !(200..600).contains(&status.as_u16()) && !exchange.response.begins_conversation() {
            let problem = format!("{status} cannot be the status of a response: it must be 200 to 599");
            self.funnel(exchange).settle(exchange, Error::unexpected(problem));
        }
        if let Err(error) = conditions::apply(exchange) {
            self.funnel(exchange).settle(exchange, error);
        }
        if let ResponseBody::Stream(stream) = exchange.response.body_mut() {
            watch(stream, &exchange.request);
        }
    }
}

/// Lets a failure in the middle of a stream be logged with the request it belongs to. The server cuts the connection
/// then.
fn watch(stream: &mut Stream, request: &crate::Request) {
    let (id, path) = (request.id(), request.path().to_owned());
    let mut chunks = std::mem::replace(stream, Stream::new(std::iter::empty::<Vec<u8>>()));
    let length = chunks.length();
    let watched = Stream::fallible(std::iter::from_fn(move || {
        let chunk = guarded(|| chunks.next().transpose());
        if let Err(error) = &chunk {
            let causes = logs::causes(error);
            // A client that breaks its body off while it is sent back is an everyday end.
            let level = if error.is_clients_fault() { log::Level::Debug } else { log::Level::Error };
            let text = format!("request {id}: {path:?} the stream broke off: {causes}");
            log::log!(target: logs::ERROR, level, "{}", logs::Lines(&text, &[]));
        }
        chunk.transpose()
    }));
    *stream = match length {
        Some(length) => watched.with_length(length),
        None => watched,
    };
}
