//! The test client's side of TLS.
//!
//! It takes every certificate: tests have certificates of their own, mostly of the same minute. All else of TLS is
//! rustls, whose buffered interface the server does not use.

use super::{
    ClientError,
    wire::{describe, until},
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A session on a connection.
pub(super) struct Encrypted(Box<ClientConnection>);

/// What all clients without a certificate share, the sessions that they go on with among it.
pub(crate) static CLIENT_CONFIG: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| config(None).expect("nothing is shown that could be wrong"));

/// A client that shows this certificate and proves it by the key, both in PEM.
pub(super) fn config(own: Option<(&str, &str)>) -> std::result::Result<Arc<ClientConfig>, String> {
    let config = ClientConfig::builder_with_provider(crate::tls::provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.dangerous();
    let config = config.with_custom_certificate_verifier(Arc::new(Trusting));
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<std::result::Result<Vec<_>, _>>();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
            let chain = chain.map_err(|error| format!("the certificate: {error}"))?;
            let key = key.map_err(|error| format!("the private key: {error}"))?;
            config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config.into())
}

impl Encrypted {
    /// Makes a handshake with the server.
    pub(super) fn connect(
        stream: &mut TcpStream,
        identity: Option<&Arc<ClientConfig>>,
        deadline: Instant,
    ) -> Result<Self> {
        let name = ServerName::try_from("localhost").map_err(|error| ClientError::new(error.to_string()))?;
        let mut session =
            ClientConnection::new(identity.unwrap_or(&CLIENT_CONFIG).clone(), name).map_err(|error| failed(&error))?;
        while session.is_handshaking() {
            let wait = until(deadline)?;
            stream
                .set_read_timeout(Some(wait))
                .and_then(|()| stream.set_write_timeout(Some(wait)))
                .map_err(describe)?;
            match session.complete_io(stream) {
                Ok(_) => {}
                Err(error) if is_nothing_yet(&error) => {}
                Err(error) => return Err(ClientError::new(format!("the handshake failed: {error}"))),
            }
        }
        Ok(Self(Box::new(session)))
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> Result<()> {
        while !bytes.is_empty() || self.0.wants_write() {
            let length = self.0.writer().write(bytes).map_err(describe)?;
            bytes = &bytes[length..];
            stream.set_write_timeout(Some(until(deadline)?)).map_err(describe)?;
            match self.0.write_tls(stream) {
                Ok(_) => {}
                Err(error) if is_nothing_yet(&error) => {}
                Err(error) => return Err(describe(error)),
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub(super) fn take_leave(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        self.0.send_close_notify();
        self.0.write_tls(stream).map(drop)
    }

    /// As [`Transport::receive`](super::wire::Transport::receive). An end without a word is a failure.
    pub(super) fn receive(
        &mut self,
        stream: &mut TcpStream,
        received: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<usize> {
        let before = received.len();
        loop {
            let ended = self.0.reader().read_to_end(received);
            if received.len() > before {
                return Ok(received.len() - before);
            }
            match ended {
                Ok(_) => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(ClientError::new("the server cut the encrypted connection off")),
            }
            stream.set_read_timeout(Some(until(deadline)?)).map_err(describe)?;
            match self.0.read_tls(stream) {
                Ok(_) => {}
                Err(error) if is_nothing_yet(&error) => {}
                Err(error) => return Err(describe(error)),
            }
            self.0.process_new_packets().map_err(|error| failed(&error))?;
        }
    }
}

fn is_nothing_yet(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn failed(error: &Error) -> ClientError {
    ClientError::new(format!("the encrypted connection failed: {error}"))
}

/// Takes every certificate, and proofs for it.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crate::tls::provider().signature_verification_algorithms.supported_schemes()
    }
}
