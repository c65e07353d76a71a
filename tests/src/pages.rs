//! The application that is attacked: one page for each stage at which a client can leave, stall or flood.

use crate::Gate;
use kirsch::prelude::*;
use std::{io::Read, thread, time::Duration};

/// More than the buffers of two sockets hold, and more than an allocator keeps for later.
pub const LARGE: usize = 33 << 20;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Where `/hold`, `/hold_session` and `/hold_stream` wait.
    pub gate: Gate,
}

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }

    /// Whether the connection goes on with an earlier session of TLS.
    #[expose]
    fn resumed(&self, request: &Request) -> String {
        request.tls().is_some_and(|tls| tls.is_resumed).to_string()
    }

    /// Waits at the gate.
    #[expose]
    fn hold(&self) -> &'static str {
        self.gate.pass();
        "held"
    }

    /// Waits at the gate with the session's lock.
    #[expose]
    fn hold_session(&self, session: &Session) -> &'static str {
        session.set("held", true);
        self.gate.pass();
        "held"
    }

    /// Counts in the session.
    #[expose]
    fn count(&self, session: &Session) -> String {
        let count = session.get::<u64>("count").unwrap_or(0) + 1;
        session.set("count", count);
        count.to_string()
    }

    #[expose]
    fn sleep(&self, ms: u64) -> &'static str {
        thread::sleep(Duration::from_millis(ms.min(60_000)));
        "slept"
    }

    /// The same with the session's lock.
    #[expose]
    fn sleep_session(&self, session: &Session, ms: u64) -> &'static str {
        session.set("slept", ms);
        self.sleep(ms)
    }

    #[expose]
    fn large(&self) -> Vec<u8> {
        vec![b'x'; LARGE]
    }

    /// A stream without end.
    #[expose]
    fn endless(&self) -> Stream {
        Stream::new(std::iter::repeat_with(|| vec![b'x'; 16 * 1024]))
    }

    /// A stream of two chunks; the second waits at the gate.
    #[expose]
    fn hold_stream(&self) -> Stream {
        let gate = self.gate.clone();
        Stream::new((0..2).map(move |number| {
            if number > 0 {
                gate.pass();
            }
            format!("{number}\n")
        }))
    }

    /// A stream of `chunks` chunks with a pause before each but the first.
    #[expose]
    fn slow_stream(&self, chunks: u64, ms: u64) -> Stream {
        Stream::new((0..chunks).map(move |number| {
            if number > 0 {
                thread::sleep(Duration::from_millis(ms.min(60_000)));
            }
            format!("{number}\n")
        }))
    }

    /// The body, read before the handler runs.
    #[expose]
    fn echo(&self, body: Bytes) -> Vec<u8> {
        body.0
    }

    /// The length of the body, read by the handler.
    #[expose]
    fn read(&self, mut body: Body) -> kirsch::Result<String> {
        let length = std::io::copy(&mut body.by_ref(), &mut std::io::sink())?;
        Ok(length.to_string())
    }

    /// Does not look at the body, but could.
    #[expose]
    fn ignore(&self, body: Body) -> &'static str {
        drop(body);
        "ignored"
    }

    #[expose]
    fn panic(&self) -> &'static str {
        panic!("asked for at /panic")
    }
}
