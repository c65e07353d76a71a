//! Hello world. Run with a port as the only argument.

use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _: Request, response: &mut Response) -> std::io::Result<()> {
        response.header("content-type: text/plain; charset=utf-8").body("Hello, World!");
        Ok(())
    }
}

fn main() {
    let port: u16 = std::env::args().nth(1).expect("usage: peer PORT").parse().expect("a port");
    may::config().set_workers(2);
    let server = HttpServer(Hello).start(("127.0.0.1", port)).expect("a free port");
    println!("Serving on http://127.0.0.1:{port}");
    server.join().expect("server");
}
