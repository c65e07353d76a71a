//! Steps that go on after their request has gone: a lock that it was granted is given back.

use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

/// Goes through these steps without a caller: the first one now, each later one on the thread that brings the answer to
/// the one before.
pub(super) fn finish(steps: impl Future<Output = ()> + Send + 'static) {
    Arc::new(Steps { steps: Mutex::new(Some(Box::pin(steps))), wakes: AtomicUsize::new(0) }).go_on();
}

struct Steps {
    steps: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// How often it was woken since the thread that goes on has looked.
    wakes: AtomicUsize,
}

impl Steps {
    /// One thread at a time goes on, and once more if it was woken in between.
    fn go_on(self: &Arc<Self>) {
        if self.wakes.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let waker = Waker::from(Arc::clone(self));
        let mut seen = 1;
        while seen > 0 {
            let mut steps = self.steps.lock();
            let is_over =
                steps.as_mut().is_some_and(|steps| steps.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
            if is_over {
                *steps = None;
            }
            drop(steps);
            seen = self.wakes.fetch_sub(seen, Ordering::AcqRel) - seen;
        }
    }
}

impl Wake for Steps {
    fn wake(self: Arc<Self>) {
        self.go_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[test]
    fn steps_go_on_with_each_wake_up_also_with_one_that_comes_while_they_run() {
        let (wakers, polls) = (Arc::new(Mutex::new(Vec::<Waker>::new())), Arc::new(AtomicUsize::new(0)));
        let (kept, counted) = (Arc::clone(&wakers), Arc::clone(&polls));
        finish(std::future::poll_fn(move |context| {
            let poll = counted.fetch_add(1, Ordering::SeqCst);
            kept.lock().push(context.waker().clone());
            if poll == 1 {
                context.waker().wake_by_ref();
            }
            if poll == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!(polls.load(Ordering::SeqCst), 1, "the first step is made at once");
        let waker = wakers.lock()[0].clone();
        waker.wake_by_ref();
        assert_eq!(polls.load(Ordering::SeqCst), 3, "woken once from outside, once from within");
        waker.wake();
        assert_eq!(polls.load(Ordering::SeqCst), 3, "they are over");
    }
}
