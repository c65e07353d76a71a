//! The configuration that is in force, and how another one takes its place while the server runs.
//!
//! All files are one: certificates, keys, roots and lists are read together, checked together, and used together or not
//! at all. So a new certificate is never shown with an old key. A connection reads the configuration once, when it
//! begins, and keeps it.

use super::certificate::Certificate;
use super::clients::ClientCheck;
use super::expiry::ExpiryWatch;
use super::resolver::Resolver;
use super::settings::{CertificateSource, Tls};
use super::ticketer::Ticketer;
use super::{PROTOCOLS, pem, provider};
use crate::exchange::CertificateState;
use crate::file_stamp::{FileStamp, Watch, is_old};
use crate::private_file;
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// TLS as it is in force: one value for all listeners, made at start.
pub(crate) struct TlsInService {
    settings: Tls,
    present: RwLock<Arc<Present>>,
    watch: Mutex<Watch<Vec<FileStamp>>>,
    expiry: Mutex<ExpiryWatch>,
}

/// What belongs together.
struct Present {
    config: Arc<ServerConfig>,
    ticketer: Arc<Ticketer>,
    certificates: Vec<CertificateState>,
    /// The hash of all that was read.
    content: [u8; 32],
}

/// All that the settings name, read and checked.
struct Material {
    certificates: Vec<Certificate>,
    clients: ClientCheck,
    stamps: Vec<FileStamp>,
    content: [u8; 32],
}

impl TlsInService {
    /// Reads and checks all files.
    ///
    /// # Errors
    /// The setting, the file, what is wrong with it and what to do.
    pub(crate) fn start(settings: Tls) -> Result<Self, String> {
        settings.check_clients().map_err(|error| format!("server.{} {}", error.key, error.problem))?;
        let material = Material::read(&settings)?;
        let ticketer = Arc::new(Ticketer::new(material.clients.trust));
        let stamps = material.stamps.clone();
        let present = RwLock::new(Arc::new(Present::new(material, ticketer)?));
        Ok(Self { settings, present, watch: Mutex::new(Watch::new(stamps)), expiry: Mutex::default() })
    }

    /// The configuration for a connection that begins now.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.present.read().config.clone()
    }

    /// The certificates that are in force, in the order of the settings.
    pub(crate) fn certificates(&self) -> Vec<CertificateState> {
        self.present.read().certificates.clone()
    }

    /// Takes files that have changed and have been still for a second, forgets old keys of tickets, and warns of
    /// certificates that end. Called every few seconds, by one thread.
    pub(crate) fn look(&self) {
        let (stamps, is_old) = self.stamps();
        if self.watch.lock().is_due(&stamps, is_old) {
            self.read_again();
        }
        let present = self.present();
        present.ticketer.rotate();
        self.expiry.lock().look(&present.certificates, SystemTime::now(), Instant::now());
    }

    /// Takes all files as they are now: the operator says that they are whole.
    pub(crate) fn read_again(&self) {
        let (stamps, _) = self.stamps();
        let problem = match Material::read(&self.settings) {
            Ok(material) if self.present().content == material.content => {
                *self.watch.lock() = Watch::new(material.stamps);
                return;
            }
            Ok(material) => match self.take(material) {
                Ok(()) => return,
                Err(problem) => problem,
            },
            Err(problem) => problem,
        };
        crate::line::record!(Error, target: "kirsch::tls", "{problem}; the certificates from before stay in service");
        self.watch.lock().refuse(stamps);
    }

    /// Tells which files this process cannot read any more, so that their renewal would not be noticed.
    pub(crate) fn warn_if_unreadable(&self) {
        for file in files(&self.settings) {
            if let Err(error) = private_file::open_plain(&file) {
                let place = file.display();
                crate::line::record!(Warn, target: "kirsch::tls", "{place} cannot be read again by the user that the program runs as ({error}): it cannot be renewed without a restart; let the user's group read it");
            }
        }
    }

    /// The keys of tickets for the process that takes this one's place, as secret as private keys.
    pub(crate) fn export(&self) -> Vec<u8> {
        self.present().ticketer.export()
    }

    /// Takes the keys of tickets of the process before. Keys that cannot be used are left: then clients make full
    /// handshakes, and the log says why.
    pub(crate) fn import(&self, keys: &[u8]) {
        if let Err(problem) = self.present().ticketer.import(keys) {
            crate::line::record!(Warn, target: "kirsch::tls", "the keys of tickets were not taken over: {problem}");
        }
    }

    fn present(&self) -> Arc<Present> {
        self.present.read().clone()
    }

    fn take(&self, material: Material) -> Result<(), String> {
        let before = self.present();
        let is_same_trust = *before.ticketer.trust() == material.clients.trust;
        // Tickets remember who was believed.
        let ticketer = match is_same_trust {
            true => before.ticketer.clone(),
            false => Arc::new(Ticketer::new(material.clients.trust)),
        };
        let stamps = material.stamps.clone();
        let present = Present::new(material, ticketer)?;
        for certificate in &present.certificates {
            let (place, end) = (&certificate.place, httpdate::fmt_http_date(certificate.expires));
            crate::line::record!(Info, target: "kirsch::tls", "{place} is in service, until {end}");
        }
        *self.present.write() = Arc::new(present);
        *self.watch.lock() = Watch::new(stamps);
        Ok(())
    }

    /// The stamps of all files, and whether all have been still for a while.
    fn stamps(&self) -> (Vec<FileStamp>, bool) {
        let mut all_old = true;
        let stamps = files(&self.settings).into_iter().map(|file| {
            let metadata = std::fs::metadata(file);
            all_old &= metadata.as_ref().is_ok_and(is_old);
            metadata.as_ref().map(FileStamp::of).unwrap_or_default()
        });
        (stamps.collect(), all_old)
    }
}

/// The files that the settings name, in the order in which they are read.
fn files(settings: &Tls) -> Vec<PathBuf> {
    let certificates = settings.certificates.iter().flat_map(|source| match source {
        CertificateSource::Files { file, key } => vec![file.clone(), key.clone()],
        CertificateSource::Text { .. } => Vec::new(),
    });
    let clients = settings.client_roots.iter().chain(&settings.client_crls).map(PathBuf::from);
    certificates.chain(clients).collect()
}

impl Material {
    fn read(settings: &Tls) -> Result<Self, String> {
        let provider = provider();
        let now = SystemTime::now();
        let (mut stamps, mut hash) = (Vec::new(), Sha256::new());
        let mut read = |path: &Path| -> Result<Vec<u8>, String> {
            let (stamp, text) = pem::read(path)?;
            private_file::warn_of_changes(path, "what TLS is trusted for");
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(&text);
            stamps.push(stamp);
            Ok(text)
        };
        let mut certificates = Vec::new();
        for (index, source) in settings.certificates.iter().enumerate() {
            let (place, chain, key_place, key) = match source {
                CertificateSource::Files { file, key } => {
                    let chain = read(file);
                    let text = read(key);
                    private_file::warn_if_everybody_reads(key, "a private key");
                    (file.display().to_string(), chain, key.display().to_string(), text)
                }
                CertificateSource::Text { chain, key } => {
                    let place = format!("the certificate number {} of the program", index + 1);
                    let chain = Ok(chain.as_bytes().to_vec());
                    (place.clone(), chain, format!("the key of {place}"), Ok(key.exposed().as_bytes().to_vec()))
                }
            };
            let made = chain.and_then(|chain| {
                let chain = pem::certificates(&chain, &place)?;
                let key = pem::private_key(&key?, &key_place)?;
                Certificate::new((&place, chain), (&key_place, key), &provider, now)
            });
            certificates.push(made.map_err(|problem| format!("server.certificate: {problem}"))?);
        }
        let clients = ClientCheck::new(settings, &mut read)?;
        Ok(Self { certificates, clients, stamps, content: hash.finalize().into() })
    }
}

impl Present {
    fn new(material: Material, ticketer: Arc<Ticketer>) -> Result<Self, String> {
        let Material { certificates, clients, content, .. } = material;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let resolver = Arc::new(Resolver::new(&certificates));
        let mut config = builder.with_client_cert_verifier(clients.verifier).with_cert_resolver(resolver);
        // Tickets are kept by clients. A server that remembers sessions as well would remember them for strangers.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ticketer.clone();
        // Early data can be sent again by anybody: a round trip is cheaper than an order that comes twice.
        config.max_early_data_size = 0;
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        let certificates = certificates.into_iter().map(|certificate| certificate.state).collect();
        Ok(Self { config: Arc::new(config), ticketer, certificates, content })
    }
}

/// Shows no key.
impl std::fmt::Debug for TlsInService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsInService").field("certificates", &self.certificates()).finish_non_exhaustive()
    }
}
