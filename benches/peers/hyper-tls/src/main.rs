//! Hello world by TLS, with tickets. Run with a port, a certificate and its key.

use http_body_util::Full;
use hyper::{Request, Response, body::{Bytes, Incoming}, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, sync::Arc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::{ServerConfig, crypto::ring::Ticketer};

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder().header("content-type", "text/plain; charset=utf-8");
    Ok(response.body(Full::new(Bytes::from_static(b"Hello, World!"))).expect("a valid response"))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, certificate, key] = &words[..] else { panic!("usage: peer PORT CERTIFICATE KEY") };
    let port: u16 = port.parse().expect("a port");
    let certificates = CertificateDer::pem_file_iter(certificate).expect("a certificate");
    let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).expect("a pair");
    config.ticketer = Ticketer::new().expect("random bytes");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("Serving on https://127.0.0.1:{port}");
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        let _ = stream.set_nodelay(true);
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut server = http1::Builder::new();
            let _ = server.pipeline_flush(true).serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
    }
}
