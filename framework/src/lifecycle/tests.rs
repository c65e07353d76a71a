//! The life of a request, driven without a server.

mod admission;
mod dates;
mod finishing;
mod funnel;
mod lists;
mod matrix;
mod paths;

use crate::exchange::Exchange;
use crate::exchange::{BodyPlan, Delivery, Progress, Service, Wakers};
use crate::http::{HeadLimits, Refusal};
use crate::lifecycle::Application;
use crate::{App, exchange::RequestBody, exchange::RequestId};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How long ago the requests of a [`Driver`] began.
const LASTED: Duration = Duration::from_micros(1234);

/// One request on its way, step by step as the server would take it.
struct Driver {
    application: Application,
    exchange: Exchange,
}

/// The client's view of the response.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// As `name: value` lines.
    head: String,
    body: String,
}

impl Driver {
    /// Reads the head of `request`: the request line and fields, `Host` added.
    fn new(app: App, request: &str) -> Self {
        let mut driver = Self { application: app.build().unwrap(), exchange: Exchange::new() };
        driver.read(request);
        driver
    }

    fn read(&mut self, request: &str) {
        let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
        let fields: String = fields.lines().map(|field| format!("{field}\r\n")).collect();
        let bytes = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let head = self.exchange.request.head.read(bytes.as_bytes(), &mut 0, &HeadLimits::default());
        assert_eq!(head, Ok(Some(bytes.len())), "{request}");
        self.exchange.request.id = RequestId::next();
    }

    fn start(&mut self) -> BodyPlan {
        self.application.start(&mut self.exchange, &NoWaker)
    }

    fn run(&mut self) -> Progress {
        self.application.run(&mut self.exchange, &NoWaker)
    }

    fn refuse(&mut self, refusal: Refusal) -> Answer {
        self.application.refuse(&mut self.exchange, &refusal);
        self.end()
    }

    fn end(&mut self) -> Answer {
        let response = &self.exchange.response;
        let body = response.body().as_bytes().unwrap_or_default();
        let delivery = Delivery { body_bytes: body.len() as u64, complete: true, received: Instant::now() - LASTED };
        let fields = response.headers().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        let answer = Answer {
            status: response.status().as_u16(),
            head: fields.collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        self.application.end(&mut self.exchange, &delivery);
        self.exchange.clear();
        answer
    }

    fn finish(mut self) -> Answer {
        assert_eq!(self.run(), Progress::Done);
        self.end()
    }
}

/// Takes a request without a body all the way.
fn ask(app: App, request: &str) -> Answer {
    let mut driver = Driver::new(app, request);
    driver.start();
    driver.finish()
}

/// Sends a request with a body in memory.
fn send(app: App, request: &str, body: &str) -> Answer {
    let mut driver = Driver::new(app, &format!("{request}\nContent-Length: {}", body.len()));
    driver.start();
    driver.exchange.request.body = RequestBody::Memory(body.as_bytes().to_vec());
    driver.finish()
}

struct NoWaker;

impl Wakers for NoWaker {
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}
