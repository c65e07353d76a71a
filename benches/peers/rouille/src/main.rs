//! Hello world. Run with a port as the only argument.

fn main() {
    let port = std::env::args().nth(1).expect("usage: peer PORT");
    println!("Serving on http://127.0.0.1:{port}");
    rouille::start_server(format!("127.0.0.1:{port}"), |_| rouille::Response::text("Hello, World!"));
}
