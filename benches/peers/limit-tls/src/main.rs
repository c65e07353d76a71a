//! The floor under every server with rustls: blocking sockets, one connection after another, one `read` for the
//! request, one canned answer, no parsing. Run with a port, a certificate and its key.

use rustls::crypto::ring::Ticketer;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\n\
connection: close\r\ndate: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\nHello, World!";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, certificate, key] = &words[..] else { panic!("usage: peer PORT CERTIFICATE KEY") };
    let port: u16 = port.parse().expect("a port");
    let certificates = CertificateDer::pem_file_iter(certificate).expect("a certificate");
    let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).expect("a pair");
    config.ticketer = Ticketer::new().expect("random bytes");
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    println!("Serving on https://127.0.0.1:{port}");
    for stream in listener.incoming().flatten() {
        // A client that breaks off has no answer.
        let _ = serve(stream, &config);
    }
}

fn serve(mut socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    let _ = socket.set_nodelay(true);
    let mut session = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    let mut room = [0; 4096];
    let mut length = 0;
    while !room[..length].ends_with(b"\r\n\r\n") {
        length += rustls::Stream::new(&mut session, &mut socket).read(&mut room[length..])?;
    }
    session.writer().write_all(RESPONSE)?;
    session.send_close_notify();
    while session.wants_write() {
        session.write_tls(&mut socket)?;
    }
    Ok(())
}
