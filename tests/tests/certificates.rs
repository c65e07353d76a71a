//! Certificates over real sockets: renewed while the server runs, told to operators, asked of clients.

use integration_tests::program::Program;
use kirsch::testing::Client;
use kirsch::tls::ClientCertificates;
use kirsch::tools::RequireCertificate;
use kirsch::{engine::Running, prelude::*, status};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, SystemTime};

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");

struct Site;

#[handlers]
impl Site {
    #[expose]
    fn index(&self, request: &Request) -> String {
        let Some(tls) = request.tls() else { return "plain".to_owned() };
        let shown = request.client_certificate().map_or("nobody", |shown| shown.subject());
        format!("{} {} {shown}", tls.version, request.is_secure())
    }

    #[expose]
    fn admin(&self) -> &'static str {
        "keys"
    }
}

/// A folder with files of certificates.
struct Folder {
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Folder {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("right");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("right").pem();
        let made = Self { folder: tempfile::tempdir().expect("a folder"), authority: Issuer::new(params, key) };
        made.write("roots.pem", &root);
        made.renew(4000);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that has been still for a minute.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        let file = File::options().write(true).open(self.path(name)).expect("it is there");
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("set");
    }

    /// A certificate until that year, and its key.
    fn sign(&self, name: &str, year: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("right");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.authority).expect("right").pem(), key.serialize_pem())
    }

    /// Puts a certificate until that year in the place of the one before.
    fn renew(&self, year: i32) {
        let (chain, key) = self.sign("the site", year);
        self.write("site.pem", &chain);
        self.write("site.key", &key);
    }

    /// The certificate as a file of settings has it.
    fn settings(&self, listen: &str) -> String {
        let (file, key) = (self.path("site.pem"), self.path("site.key"));
        format!(
            "[global]\nserver.listen = \"{listen}\"\n[[global.server.certificate]]\nfile = {file:?}\nkey = {key:?}\n"
        )
    }

    fn tls(&self) -> Tls {
        Tls::new().certificate(self.path("site.pem"), self.path("site.key"))
    }

    fn start(&self) -> Running {
        let app = App::new(Site).mount("/metrics", status::metrics().open()).mount("/status", status::app().open());
        app.tls(self.tls()).start("127.0.0.1:0").expect("right files")
    }
}

/// The year in which the certificate of the server ends, by its metrics.
fn year(client: &Client) -> u64 {
    let metrics = client.get("/metrics").send();
    let line =
        metrics.text().lines().find(|line| line.starts_with("kirsch_certificate_expires_seconds{")).expect("the gauge");
    let seconds: u64 = line.rsplit(' ').next().expect("a value").parse().expect("seconds");
    // Rounded: years have no one length.
    1970 + (seconds + 1_000_000) / 31_556_952
}

#[test]
fn renewed_files_are_taken_at_once_when_the_operator_says_so() {
    let files = Folder::new();
    let running = files.start();
    let client = Client::connect_tls(running.address());
    assert_eq!(year(&client), 4000);
    files.renew(3000);
    running.graceful();
    // The connection goes on, and new ones are served, too.
    assert_eq!((year(&client), year(&client.new_browser())), (3000, 3000));
    files.write("site.key", "garbage");
    running.graceful();
    assert_eq!(year(&client.new_browser()), 3000);
}

// The files are read before the gate of `/hold` opens, so the answer shows that they were.
#[test]
fn sighup_renews_the_certificates_of_a_program() {
    let files = Folder::new();
    let settings = files.settings("127.0.0.1:0 tls");
    let program = Program::start(PROGRAM, "STATUS=1; export STATUS; ", &settings, Stdio::null());
    let client = Client::connect_tls(program.client.address().expect("it has a socket"));
    let ends_in = |year: &str| client.get("/status/json").send().text().contains(&format!("until Sat, 01 Jan {year}"));
    assert!(ends_in("4000"));
    let mut held = client.raw();
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    files.renew(3100);
    program.signal(Signal::HUP);
    held.read_response().assert_text("held");
    assert!(!ends_in("4000"));
}

#[test]
fn renewed_files_are_taken_by_and_by() {
    let files = Folder::new();
    let running = files.start();
    let client = Client::connect_tls(running.address());
    client.get("/").send().assert_text("TLS 1.3 true nobody");
    files.renew(3000);
    let looks = (0..120).map(|_| {
        thread::sleep(Duration::from_millis(250));
        year(&client)
    });
    assert!(looks.into_iter().any(|year| year == 3000), "the new certificate is not in service");
}

#[test]
fn operators_see_the_ends_of_certificates() {
    let files = Folder::new();
    let running = files.start();
    let page = Client::connect_tls(running.address()).get("/status/json").send();
    let rows = page.json::<serde_json::Value>()["sections"][0].clone();
    assert_eq!(rows["title"], "Certificates");
    assert!(rows["rows"][0]["name"].as_str().expect("a file").ends_with("site.pem"));
    let value = rows["rows"][0]["value"].as_str().expect("a text").to_owned();
    assert!(
        value.starts_with("localhost: ") && value.ends_with("days left, until Sat, 01 Jan 4000 00:00:00 GMT"),
        "{value}"
    );
}

#[test]
fn mistakes_stop_the_start_and_name_the_setting() {
    let files = Folder::new();
    let (chain, _) = files.sign("another", 4000);
    files.write("other.pem", &chain);
    let (other, key) = (files.path("other.pem"), files.path("site.key"));
    let in_file = format!(
        "[global]\nserver.listen = \"127.0.0.1:0 tls\"\n[[global.server.certificate]]\nfile = {other:?}\nkey = {key:?}"
    );
    let apps = [App::new(Site).tls(Tls::new().certificate(other, key)), App::new(Site).config_str(in_file)];
    for app in apps {
        let refused = app.start("127.0.0.1:0").expect_err("two halves").to_string();
        assert!(
            refused.contains("server.certificate: the certificate in") && refused.contains("do not belong together"),
            "{refused}"
        );
    }
}

#[test]
fn a_file_of_settings_brings_certificates() {
    let files = Folder::new();
    let text = format!(
        "[global]\nserver.listen = \"127.0.0.1:0 tls\"\nserver.tls.client_certificates = \"required\"\nserver.tls.client_roots = [{:?}]\n\
         [[global.server.certificate]]\nfile = {:?}\nkey = {{ file = {:?} }}",
        files.path("roots.pem"),
        files.path("site.pem"),
        files.path("site.key")
    );
    let running = App::new(Site).config_str(text).start("127.0.0.1:80").expect("right settings");
    let (chain, key) = files.sign("anna", 4000);
    let client = Client::connect_tls(running.address());
    client.with_certificate(&chain, &key).get("/").send().assert_text("TLS 1.3 true CN=anna");
    assert!(client.get("/").try_send().is_err(), "a client without a certificate cannot connect");
}

fn asking(files: &Folder, policy: ClientCertificates) -> App {
    let roots = files.path("roots.pem").display().to_string();
    App::new(Site).tls(files.tls().client_certificates(policy, [roots]))
}

#[test]
fn a_path_is_for_clients_with_a_certificate() {
    let files = Folder::new();
    let app = asking(&files, ClientCertificates::Optional).tool("/admin", RequireCertificate::new());
    let client = Client::over_socket(app);
    client.get("/").send().assert_text("TLS 1.3 true nobody");
    client.get("/admin").send().assert_status(403);
    let (chain, key) = files.sign("anna", 4000);
    let anna = client.with_certificate(&chain, &key);
    anna.get("/").send().assert_text("TLS 1.3 true CN=anna");
    // A second connection goes on with the session of the first, and with who it is.
    anna.get("/admin").header("connection", "close").send().assert_text("keys");
    anna.get("/admin").send().assert_text("keys");
}

#[test]
fn a_tool_that_nobody_could_satisfy_stops_the_start() {
    let app = App::new(Site).tool("/admin", RequireCertificate::new());
    let refused = app.build().expect_err("no client is asked").to_string();
    assert!(refused.contains("server.tls.client_certificates"), "{refused}");
}
