//! Certificates, clients and tickets, in handshakes without sockets.

use super::certificate::Certificate;
use super::resolver::Resolver;
use super::settings::CertificateSource;
use super::{ClientCertificates, Tls, TlsInService, pem, provider};
use crate::exchange::CertificateName;
use crate::logs::capture;
use crate::settings::Settings;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore, ServerConnection, SignatureScheme,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("right");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("right").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names, with the serial number, and its key.
    fn signs(&self, names: &[&str], serial: u64) -> (String, String) {
        self.signs_until(names, serial, 4000)
    }

    fn signs_until(&self, names: &[&str], serial: u64, year: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("right");
        params.distinguished_name.push(DnType::CommonName, format!("number {serial}"));
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("right").pem(), key.serialize_pem())
    }

    fn revokes(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2020, 2, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("right").pem().expect("right")
    }

    /// The configuration of a client that trusts it, and shows this certificate.
    fn client(&self, own: Option<&(String, String)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")).expect("a root");
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.expect("right").with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                builder.with_client_auth_cert(chain, key).expect("right")
            }
        })
    }
}

/// A folder with a pair, and TLS that uses it.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new("the authority") };
        site.write_pair(&site.authority.signs(&["localhost", "shop.example"], 1));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that has been still for a while.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        let minute_ago = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().write(true).open(&path).expect("there").set_modified(minute_ago).expect("set");
        path.display().to_string()
    }

    fn write_pair(&self, (chain, key): &(String, String)) {
        self.write("site.pem", chain);
        self.write("site.key", key);
    }

    fn tls(&self) -> Tls {
        Tls::new().certificate(self.path("site.pem"), self.path("site.key"))
    }

    fn start(&self) -> TlsInService {
        TlsInService::start(self.tls()).expect("right files")
    }
}

/// What became of a handshake, with a round trip behind it.
struct Shaken {
    client: ClientConnection,
    server: ServerConnection,
}

fn shake(tls: &TlsInService, client: &Arc<ClientConfig>, host: &str) -> Result<Shaken, rustls::Error> {
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let mut client = ClientConnection::new(client.clone(), name)?;
    let mut server = ServerConnection::new(tls.current())?;
    let mut wire = Vec::new();
    // Six flights are enough, with the tickets that come last.
    for _ in 0..6 {
        client.write_tls(&mut wire).expect("memory");
        take(&mut wire, |wire| server.read_tls(wire));
        server.process_new_packets()?;
        server.write_tls(&mut wire).expect("memory");
        take(&mut wire, |wire| client.read_tls(wire));
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Shaken { client, server })
}

fn take(wire: &mut Vec<u8>, mut read: impl FnMut(&mut &[u8]) -> io::Result<usize>) {
    let mut left = &wire[..];
    while !left.is_empty() {
        read(&mut left).expect("memory");
    }
    wire.clear();
}

impl Shaken {
    fn is_resumed(&self) -> bool {
        self.server.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn shown_by_server(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().expect("a certificate")[0]
    }
}

fn der((chain, _): &(String, String)) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM")
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let authority = Authority::new("the authority");
    let hosts = [&["first.example"][..], &["*.shop.example"], &["www.shop.example", "192.0.2.1"]];
    let pairs: Vec<_> = (1..).zip(hosts).map(|(number, names)| authority.signs(names, number)).collect();
    let tls = pairs.iter().fold(Tls::new(), |tls, (chain, key)| tls.certificate_pem(chain, key));
    let tls = TlsInService::start(tls).unwrap();
    let client = authority.client(None);
    let table = [("first.example", 0), ("www.shop.example", 2), ("WWW.shop.example", 2), ("new.shop.example", 1)];
    for (host, index) in table {
        assert_eq!(*shake(&tls, &client, host).unwrap().shown_by_server(), der(&pairs[index]), "{host}");
    }
    // The first is for all others, who do not take it here: a star stands for one label, and not for none.
    for host in ["shop.example", "a.new.shop.example", "192.0.2.1"] {
        let refused = shake(&tls, &client, host).err().expect(host).to_string();
        assert!(refused.contains("first.example"), "{host}: {refused}");
    }
}

#[test]
fn of_several_certificates_for_a_name_a_client_gets_the_first_that_it_can_check() {
    let signed_by = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let made = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        (made.pem(), key.serialize_pem())
    };
    let pairs = [signed_by(&rcgen::PKCS_ED25519), signed_by(&rcgen::PKCS_ECDSA_P256_SHA256)];
    let certificates = pairs.each_ref().map(|(chain, key)| {
        let chain = pem::certificates(chain.as_bytes(), "chain").unwrap();
        let key = pem::private_key(key.as_bytes(), "key").unwrap();
        Certificate::new(("chain", chain), ("key", key), &provider(), SystemTime::now()).unwrap()
    });
    let resolver = Resolver::new(&certificates);
    let (new, old, none) =
        (SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256);
    for (schemes, index) in [(&[old, new][..], 0), (&[new], 0), (&[old], 1), (&[none], 0)] {
        for host in [Some("localhost"), Some("other.example"), None] {
            let chosen = resolver.choose(host, schemes).unwrap();
            assert_eq!(chosen.cert[0], der(&pairs[index]), "{schemes:?} {host:?}");
        }
    }
}

#[test]
fn each_mistake_stops_the_start_with_its_remedy() {
    let site = Site::new();
    let (chain, key) = site.authority.signs(&["localhost"], 2);
    let expired = site.authority.signs_until(&["localhost"], 3, 2020);
    let der = der(&(chain.clone(), String::new())).to_vec();
    let other = site.authority.signs(&["localhost"], 4);
    let both = [other.0.as_str(), &chain].concat();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFLTBX\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_form = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIF\n-----END RSA PRIVATE KEY-----\n";
    let text = |text: &str| text.as_bytes().to_vec();
    let table = [
        (text(&chain), text(&other.1), "do not belong together"),
        (text(&expired.0), text(&expired.1), "has expired: it ended Wed, 01 Jan 2020"),
        (text(&both), text(&key), "is number 2 in"),
        (text(&key), text(&chain), "site.pem has no certificate, but a private key: are the two files exchanged?"),
        (text(&chain), text(&chain), "site.key has no private key, but a certificate"),
        (text(&chain), text(encrypted), "site.key is encrypted"),
        (text(&chain), text(old_form), "site.key is encrypted"),
        (text(&chain), text("\n"), "site.key is empty"),
        (text(""), text(&key), "site.pem is empty"),
        (text("hello"), text(&key), "site.pem has no certificate: one begins with"),
        (der, text(&key), "site.pem is in the binary form (DER)"),
        (text(&chain[..chain.len() / 2]), text(&key), "site.pem is damaged"),
        (text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), text(&key), "cannot be read"),
        (text(&chain), text("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), "cannot be used"),
    ];
    for (chain, key, problem) in table {
        site.write("site.pem", chain);
        site.write("site.key", key);
        let refused = TlsInService::start(site.tls()).expect_err(problem);
        assert!(refused.starts_with("server.certificate: ") && refused.contains(problem), "{problem}: {refused}");
    }
    fs::remove_file(site.path("site.key")).unwrap();
    let refused = TlsInService::start(site.tls()).unwrap_err();
    assert!(refused.contains("site.key cannot be read: No such file"), "{refused}");
}

#[test]
fn a_chain_in_the_wrong_order_is_a_warning() {
    let site = Site::new();
    let (chain, key) = site.authority.signs(&["localhost"], 2);
    let stranger = Authority::new("a stranger");
    site.write_pair(&([chain, stranger.pem].concat(), key));
    let told = capture::records("kirsch::tls", || drop(site.start()));
    assert!(told[0].contains("issued by CN=the authority, but CN=a stranger follows"), "{told:?}");
}

#[test]
fn a_key_that_everybody_reads_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    fs::set_permissions(site.path("site.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = capture::records("kirsch::files", || drop(site.start()));
    assert!(told[0].contains("every user may read a private key in"), "{told:?}");
}

#[test]
fn new_files_are_used_and_tickets_stay_good() {
    let site = Site::new();
    let (tls, client) = (site.start(), site.authority.client(None));
    assert!(!shake(&tls, &client, "localhost").unwrap().is_resumed());
    let renewed = site.authority.signs(&["localhost"], 2);
    site.write_pair(&renewed);
    let told = capture::records("kirsch::tls", || tls.look());
    assert!(told[0].starts_with("INFO kirsch::tls ") && told[0].contains("site.pem is in service, until"), "{told:?}");
    assert!(shake(&tls, &client, "localhost").unwrap().is_resumed());
    let stranger = site.authority.client(None);
    assert_eq!(*shake(&tls, &stranger, "localhost").unwrap().shown_by_server(), der(&renewed));
}

#[test]
fn files_that_were_just_written_wait_and_a_signal_does_not() {
    let site = Site::new();
    let (tls, client) = (site.start(), site.authority.client(None));
    let (renewed, before) = (
        site.authority.signs(&["localhost"], 2),
        der(&(fs::read_to_string(site.path("site.pem")).unwrap(), String::new())),
    );
    site.write_pair(&renewed);
    fs::write(site.path("site.key"), &renewed.1).unwrap();
    tls.look();
    assert_eq!(*shake(&tls, &client, "localhost").unwrap().shown_by_server(), before);
    tls.read_again();
    assert_eq!(*shake(&tls, &site.authority.client(None), "localhost").unwrap().shown_by_server(), der(&renewed));
}

#[test]
fn files_that_are_exchanged_one_by_one_never_break_a_handshake() {
    let site = Site::new();
    let (tls, client) = (site.start(), site.authority.client(None));
    let mut shown = Vec::new();
    let told = capture::records("kirsch::tls", || {
        for serial in 2..12 {
            let (chain, key) = site.authority.signs(&["localhost"], serial);
            // Half of a file, then all of it; the key comes last.
            let steps =
                [("site.pem", &chain[..200]), ("site.pem", &chain), ("site.key", &key[..50]), ("site.key", &key)];
            for (name, text) in steps {
                site.write(name, text);
                tls.look();
                tls.look();
                let config = site.authority.client(None);
                shown.push(shake(&tls, &config, "localhost").unwrap().shown_by_server().clone());
            }
            shake(&tls, &client, "localhost").unwrap();
        }
    });
    shown.dedup();
    assert_eq!(shown.len(), 11, "each certificate was used, with its own key");
    // Three states of ten exchanges are none to be used, each told once.
    assert_eq!(told.iter().filter(|line| line.contains("the certificates from before stay in service")).count(), 30);
}

#[test]
fn garbage_is_told_once_and_the_old_certificate_goes_on() {
    let site = Site::new();
    let (tls, client) = (site.start(), site.authority.client(None));
    site.write("site.key", "garbage");
    let told = capture::records("kirsch::tls", || {
        for _ in 0..5 {
            tls.look();
            shake(&tls, &client, "localhost").unwrap();
        }
    });
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("ERROR kirsch::tls server.certificate: ") && told[0].contains("site.key"), "{told:?}");
}

/// TLS that asks clients for certificates of the site's own authority.
fn asking(site: &Site, policy: ClientCertificates) -> Tls {
    let roots = site.write("roots.pem", &site.authority.pem);
    site.tls().client_certificates(policy, [roots])
}

#[test]
fn a_client_is_asked_for_a_certificate_as_the_policy_says() {
    use ClientCertificates::{Off, Optional, Required};
    let (site, stranger) = (Site::new(), Authority::new("a stranger"));
    let (own, foreign) = (site.authority.signs(&["anna.example"], 5), stranger.signs(&["anna.example"], 5));
    for (policy, without, with_own, with_foreign) in
        [(Off, true, false, true), (Optional, true, true, false), (Required, false, true, false)]
    {
        let tls = if policy == Off { site.tls() } else { asking(&site, policy) };
        let tls = TlsInService::start(tls).unwrap();
        let shakes = |own| shake(&tls, &site.authority.client(own), "localhost");
        assert_eq!(shakes(None).is_ok(), without, "{policy:?}");
        let shown = shakes(Some(&own)).unwrap();
        assert_eq!(shown.server.peer_certificates().is_some(), with_own, "{policy:?}");
        assert_eq!(shakes(Some(&foreign)).is_ok(), with_foreign, "{policy:?}");
    }
}

#[test]
fn a_revoked_certificate_is_refused() {
    let site = Site::new();
    let (good, bad) = (site.authority.signs(&["good.example"], 5), site.authority.signs(&["bad.example"], 6));
    let list = site.write("revoked.pem", site.authority.revokes(&[6]));
    let tls = asking(&site, ClientCertificates::Optional).client_crls([list]);
    let tls = TlsInService::start(tls).unwrap();
    let shakes = |own| shake(&tls, &site.authority.client(Some(own)), "localhost");
    assert!(shakes(&good).is_ok() && shakes(&bad).is_err());
    // The other one's turn comes while the server runs.
    site.write("revoked.pem", site.authority.revokes(&[5, 6]));
    tls.look();
    assert!(shakes(&good).is_err());
}

#[test]
fn tickets_end_when_roots_or_lists_for_clients_change() {
    let site = Site::new();
    let tls = asking(&site, ClientCertificates::Required);
    let tls = tls.client_crls([site.write("revoked.pem", site.authority.revokes(&[]))]);
    let tls = TlsInService::start(tls).unwrap();
    let own = site.authority.signs(&["anna.example"], 5);
    let client = site.authority.client(Some(&own));
    shake(&tls, &client, "localhost").unwrap();
    let resumed = shake(&tls, &client, "localhost").unwrap();
    assert!(resumed.is_resumed() && resumed.server.peer_certificates().is_some());
    site.write("revoked.pem", site.authority.revokes(&[5]));
    tls.look();
    assert!(shake(&tls, &client, "localhost").is_err(), "a ticket would have gone past the list");
    site.write("revoked.pem", site.authority.revokes(&[]));
    let more = [site.authority.pem.as_str(), &Authority::new("another").pem].concat();
    site.write("roots.pem", more);
    tls.look();
    assert!(!shake(&tls, &client, "localhost").unwrap().is_resumed());
}

#[test]
fn a_ticket_of_one_host_does_not_open_another() {
    let site = Site::new();
    let tls = TlsInService::start(asking(&site, ClientCertificates::Optional)).unwrap();
    let mut client = (*site.authority.client(Some(&site.authority.signs(&["anna.example"], 5)))).clone();
    client.resumption = rustls::client::Resumption::store(Arc::new(AllHosts::default()));
    let client = Arc::new(client);
    shake(&tls, &client, "shop.example").unwrap();
    assert!(shake(&tls, &client, "shop.example").unwrap().is_resumed());
    assert!(!shake(&tls, &client, "localhost").unwrap().is_resumed());
}

/// A client's store that brings the tickets of one host to all others.
#[derive(Debug, Default)]
struct AllHosts(Mutex<Vec<Tls13ClientSessionValue>>);

impl ClientSessionStore for AllHosts {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.lock().push(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().pop()
    }
}

#[test]
fn the_next_process_goes_on_with_the_sessions_of_this_one() {
    let site = Site::new();
    let (old, new, third) = (site.start(), site.start(), site.start());
    let client = site.authority.client(None);
    shake(&old, &client, "localhost").unwrap();
    new.import(&old.export());
    assert!(shake(&new, &client, "localhost").unwrap().is_resumed());
    let told = capture::records("kirsch::tls", || third.import(b"something else"));
    assert_eq!(told.len(), 1);
    assert!(!shake(&third, &client, "localhost").unwrap().is_resumed());
}

#[test]
fn a_client_certificate_tells_its_names_by_their_kinds() {
    let mut params = CertificateParams::new(vec!["Anna.example".to_owned(), "192.0.2.7".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Anna");
    params.subject_alt_names.push(SanType::URI("spiffe://example.org/anna".try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("anna@example.org".try_into().unwrap()));
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let shown = super::client_certificate(&[made.der().clone()]).unwrap();
    let names = [
        CertificateName::Dns("anna.example".into()),
        CertificateName::Ip([192, 0, 2, 7].into()),
        CertificateName::Uri("spiffe://example.org/anna".into()),
        CertificateName::Email("anna@example.org".into()),
    ];
    assert_eq!(shown.names(), names);
    assert!(shown.subject().contains("CN=Anna"), "{}", shown.subject());
    assert_eq!((shown.der(), shown.fingerprint().len()), (&made.der()[..], 64));
    assert_eq!(super::client_certificate(&[CertificateDer::from(vec![1, 2])]).unwrap().subject(), "");
}

#[test]
fn settings_of_files_are_read_and_refused_with_what_to_do() {
    let read = |text: &str| Tls::new().configured(&text.parse().expect("TOML"));
    let tls =
        read("[[certificate]]\nfile = 'a.pem'\nkey.file = 'a.key'\n[[certificate]]\nfile = 'b.pem'\nkey = 'b.key'")
            .unwrap();
    let files = |name: &str| CertificateSource::Files {
        file: Path::new(name).with_extension("pem"),
        key: Path::new(name).with_extension("key"),
    };
    assert_eq!(tls.certificates, [files("a"), files("b")]);
    let table = [
        ("certificate = 'a.pem'", "must be a list of tables, as [{ file ="),
        ("certificate = ['a.pem']", "must be a list of tables, as [{ file ="),
        ("certificate = [{ file = 'a.pem' }]", "has a certificate number 1 that has no `key`"),
        ("certificate = [{ file = 'a.pem', key = 5 }]", "has a `key` that is no path"),
        ("certificate = [{ file = 'a.pem', keys = 'b' }]", "has a \"keys\"; its keys are `file` and `key`"),
    ];
    for (text, problem) in table {
        let refused = read(text).unwrap_err().to_string();
        assert!(refused.contains(problem), "{text}: {refused}");
    }
}

#[test]
fn roots_without_a_policy_and_a_policy_without_roots_are_refused() {
    let site = Site::new();
    let table = [
        (
            site.tls().client_certificates(ClientCertificates::Off, ["a.pem"]),
            "server.tls.client_certificates is \"off\"",
        ),
        (site.tls().client_certificates(ClientCertificates::Required, [""; 0]), "server.tls.client_roots is empty"),
        (
            site.tls().client_certificates(ClientCertificates::Required, ["/nowhere.pem"]),
            "server.tls.client_roots: /nowhere.pem cannot be read",
        ),
        (
            asking(&site, ClientCertificates::Optional).client_crls([site.write("no.crl", "nothing")]),
            "no.crl has no list of revoked certificates",
        ),
    ];
    for (tls, problem) in table {
        let refused = TlsInService::start(tls).expect_err(problem);
        assert!(refused.contains(problem), "{refused}");
    }
}
