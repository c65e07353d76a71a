//! Run with `cargo run --release --example bare_service -- 8080 10`: the server without the framework, on a port with
//! so many workers.

use kirsch::Exchange;
use kirsch::http::Refusal;
use kirsch::server::{BodyPlan, Delivery, Progress, Server, ServerSettings, Service, Wakers};
use std::net::SocketAddr;
use std::sync::Arc;

struct Hello;

impl Service for Hello {
    fn start(&self, _exchange: &mut Exchange, _wakers: &dyn Wakers) -> BodyPlan {
        BodyPlan::Discard
    }

    fn run(&self, exchange: &mut Exchange, _wakers: &dyn Wakers) -> Progress {
        exchange.response.default_content_type("text/plain; charset=utf-8").copy_body(b"Hello, World!");
        Progress::Done
    }

    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal) {
        exchange.response.set_status(refusal.status()).set_body(format!("{refusal}\n"));
    }

    fn end(&self, _exchange: &mut Exchange, _delivery: &Delivery) {}
}

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map_while(|argument| argument.parse::<u16>().ok());
    let settings = ServerSettings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], numbers.next().unwrap_or(8080))).into()],
        threads: numbers.next().unwrap_or(10).into(),
        ..ServerSettings::default()
    };
    let server = Server::start(settings, Arc::new(Hello))?;
    println!("Serving on http://{}", server.address());
    loop {
        std::thread::park();
    }
}
