//! The proxies of the guide, run with the files that the guide prints: one table of rules, which each proxy keeps over
//! each way to the server.
//!
//! A proxy has three ports here: the one that it redirects, the one with TLS, and one without TLS for most of the
//! table, since the test client does not speak TLS. A proxy that is not installed is named and passed over.

use crate::read;
use integration_tests::engines::{Engine, free_port};
use integration_tests::{Gate, wait_until};
use kirsch::engine::Running;
use kirsch::prelude::*;
use kirsch::push::{Events, LastEventId, Topic};
use kirsch::testing::Client;
use kirsch::tools::{Csrf, Proxy, SessionAuth};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A proxy, and what differs from one to the other.
struct Installed {
    program: &'static str,
    /// Its arguments: `{file}` is its configuration, `{folder}` where that is.
    arguments: &'static str,
    /// The file of the guide.
    file: &'static str,
    /// Gives the file its ports, and adds what Debian's own files say around it.
    adapt: fn(&str) -> String,
    /// The words for the server over TCP, and over a Unix socket at `{path}`.
    over_tcp: &'static str,
    over_unix: &'static str,
    /// The answer while the server is down.
    down: u16,
    /// Whether it uses connections to the server again.
    keeps_connections: bool,
    /// Whether its file has a second program, below `/blog`.
    has_blog: bool,
}

const NGINX: Installed = Installed {
    program: "/usr/sbin/nginx",
    arguments: "-p {folder} -c {file} -e stderr",
    file: "nginx.conf",
    adapt: |text| {
        let text = replaced(text, "listen 80;", "listen 127.0.0.1:{redirect};");
        let text =
            replaced(&text, "listen 443 ssl http2;", "listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;");
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders = folders.map(|name| format!("{name}_temp_path {name};\n")).concat();
        format!(
            "daemon off;\nmaster_process off;\npid pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{text}\n}}\n"
        )
    },
    over_tcp: "127.0.0.1:8080",
    over_unix: "unix:{path}",
    down: 502,
    keeps_connections: true,
    has_blog: true,
};

const HAPROXY: Installed = Installed {
    program: "/usr/sbin/haproxy",
    arguments: "-db -f {file}",
    file: "haproxy.cfg",
    adapt: |text| {
        let text = replaced(text, "bind :80", "bind 127.0.0.1:{redirect}\n    bind 127.0.0.1:{plain}");
        let text = replaced(&text, "bind :443", "bind 127.0.0.1:{tls}");
        replaced(&text, "unless { ssl_fc }", "if { dst_port {redirect} }")
    },
    over_tcp: "127.0.0.1:8080",
    over_unix: "unix@{path}",
    down: 503,
    keeps_connections: true,
    has_blog: true,
};

const LIGHTTPD: Installed = Installed {
    program: "/usr/sbin/lighttpd",
    arguments: "-D -f {file}",
    file: "lighttpd.conf",
    adapt: |text| {
        let text = replaced(text, "\":443\"", "\"127.0.0.1:{tls}\"");
        let text = replaced(
            &text,
            "$HTTP[\"scheme\"] == \"http\"",
            "$SERVER[\"socket\"] == \"127.0.0.1:{plain}\" {}\n$SERVER[\"socket\"] == \"127.0.0.1:{redirect}\"",
        );
        let text = replaced(&text, "server.port = 80", "server.bind = \"127.0.0.1\"\nserver.port = {redirect}");
        let text = replaced(&text, "server.username = \"www-data\"\nserver.groupname = \"www-data\"", "");
        replaced(&text, "/var/www/html", "{folder}")
    },
    over_tcp: "\"host\" => \"127.0.0.1\", \"port\" => 8080",
    over_unix: "\"socket\" => \"{path}\"",
    down: 503,
    keeps_connections: false,
    has_blog: false,
};

const APACHE: Installed = Installed {
    program: "/usr/sbin/apache2",
    // One process: it ends with its parent.
    arguments: "-X -d {folder} -f {file}",
    file: "apache.conf",
    adapt: around_apache,
    over_tcp: "http://127.0.0.1:8080",
    over_unix: "unix:{path}|http://localhost",
    down: 503,
    keeps_connections: true,
    has_blog: true,
};

/// The lines of mod_proxy are replaced by those of mod_rewrite.
const APACHE_WITH_REWRITE: Installed = Installed {
    adapt: |text| {
        let start = text.find("    <Location").expect("the lines of mod_proxy");
        let end = text.rfind("</VirtualHost>").expect("the end of the site");
        around_apache(&format!("{}{}{}", &text[..start], read("apache-rewrite.conf"), &text[end..]))
    },
    ..APACHE
};

fn around_apache(text: &str) -> String {
    let text = replaced(text, "*:80", "127.0.0.1:{redirect}");
    let (before, site) = text.split_once("<VirtualHost *:443>").expect("the site");
    let is_plain = |line: &&str| !line.trim_start().starts_with("SSL");
    let plain = site.lines().filter(is_plain).collect::<Vec<_>>().join("\n");
    let modules = ["mpm_event", "authz_core", "alias", "headers", "proxy", "proxy_http", "rewrite", "ssl"];
    let modules = modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    let listen = ["redirect", "tls", "plain"].map(|port| format!("Listen 127.0.0.1:{{{port}}}\n"));
    format!(
        "ServerName localhost\nPidFile pid\nErrorLog /dev/stderr\nDefaultRuntimeDir .\n{}{}{before}\
         <VirtualHost 127.0.0.1:{{tls}}>{site}\n<VirtualHost 127.0.0.1:{{plain}}>{plain}\n",
        modules.concat(),
        listen.concat(),
    )
}

/// The text with other words, which it must have.
fn replaced(text: &str, words: &str, other: &str) -> String {
    assert!(text.contains(words), "the file of the guide has {words:?} no more");
    text.replace(words, other)
}

/// The way from a proxy to the server.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tcp,
    Unix,
}

/// A proxy with a server behind it.
struct Site {
    proxy: &'static Installed,
    server: Option<Running>,
    _engine: Engine,
    ports: BTreeMap<&'static str, u16>,
    browser: Client,
    gate: Gate,
    listen: String,
}

impl Site {
    fn start(proxy: &'static Installed, way: Way) -> Self {
        let names = ["plain", "tls", "redirect"];
        let ports = names.map(|name| (name, free_port()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        certificate(folder.path());
        let (gate, upstream) = (Gate::new(), free_port());
        let (listen, address) = match way {
            Way::Tcp => (format!("127.0.0.1:{upstream}"), proxy.over_tcp.replace("8080", &upstream.to_string())),
            Way::Unix => {
                (format!("unix:{path}/socket mode=0666"), proxy.over_unix.replace("{path}", "{folder}/socket"))
            }
        };
        let server = Some(shop(&gate).start(&listen).expect("a server"));
        let mut text = replaced(&(proxy.adapt)(&read(proxy.file)), proxy.over_tcp, &address);
        text = text.replace(&proxy.over_tcp.replace("8080", "8081"), &address);
        for (name, port) in ports {
            text = text.replace(&format!("{{{name}}}"), &port.to_string());
        }
        let text = text.replace("/etc/ssl/shop", &path).replace("{folder}", &path);
        let arguments = proxy.arguments.replace("{file}", "{folder}/proxy.conf");
        std::fs::write(folder.path().join("proxy.conf"), text).expect("a file");
        let engine = Engine::start_in(folder, ports[0].1, &format!("{} {arguments}", proxy.program), &[]);
        let browser = Client::connect((Ipv4Addr::LOCALHOST, ports[0].1).into());
        Self { proxy, server, _engine: engine, ports: ports.into(), browser, gate, listen }
    }

    /// The site as its visitors name it.
    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports["plain"])
    }

    /// The output of curl, which comes by TLS from an address of its own.
    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let port = self.ports["tls"];
        let curl = ["--silent", "--show-error", "--insecure", "--max-time", "10", "--interface", "127.0.0.9"];
        let to = format!("shop.example:{port}:127.0.0.1");
        let url = format!("https://shop.example:{port}{path}");
        let output = Command::new("curl").args(curl).args(["--resolve", &to]).args(arguments).arg(url).output();
        let output = output.expect("curl is not installed; `bash check` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A certificate that nobody trusts.
fn certificate(folder: &Path) {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.example";
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let mut openssl = Command::new("openssl");
    let made = openssl.args(arguments.split(' ')).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    assert!(made.output().expect("openssl; `bash check` installs it").status.success());
    let both = [&certificate, &key].map(|path| std::fs::read_to_string(path).expect("a file")).concat();
    std::fs::write(folder.join("both.pem"), both).expect("a file");
}

struct Shop {
    gate: Gate,
    topic: Topic<String>,
}

#[handlers]
impl Shop {
    #[expose]
    fn link(&self, request: &Request) -> String {
        format!("{} {} {}", request.url("/x y").query("a", "&"), request.is_secure(), request.remote())
    }

    #[expose]
    fn go(&self, request: &Request) -> Redirect {
        Redirect::to(request.url("/link").to_string())
    }

    #[expose]
    fn count(&self, session: &Session) -> String {
        session.update("count", |count: &mut u32| *count += 1);
        format!("{:?}", session.get::<u32>("count"))
    }

    #[expose]
    fn closed(&self, login: &Login) -> String {
        login.to_string()
    }

    #[expose]
    fn words(&self, words: Segments, request: &Request) -> String {
        format!("{} {:?}", words.iter().collect::<Vec<_>>().join("|"), request.query())
    }

    #[expose(get, post, put, patch, delete, options)]
    fn method(&self, request: &Request) -> String {
        request.method().to_string()
    }

    /// The number of bytes and their sum.
    #[expose(put)]
    fn upload(&self, mut body: Body) -> kirsch::Result<String> {
        let (mut buffer, mut length, mut sum) = (vec![0; 64 << 10], 0, 0_u64);
        loop {
            let piece = body.read(&mut buffer)?;
            if piece == 0 {
                return Ok(format!("{length} {sum}"));
            }
            length += piece;
            sum += buffer[..piece].iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }

    /// Says that the first bytes of a body are there.
    #[expose(put)]
    fn first_bytes(&self, mut body: Body) -> kirsch::Result<&'static str> {
        body.read_exact(&mut [0; 1000])?;
        self.gate.pass();
        body.read_to_end(&mut Vec::new())?;
        Ok("all")
    }

    #[expose]
    fn large(&self) -> Vec<u8> {
        vec![b'x'; 8 << 20]
    }

    #[expose]
    fn hold(&self) -> &'static str {
        self.gate.pass();
        "held"
    }

    /// Two chunks; the second one is made when the first has arrived.
    #[expose]
    fn stream(&self, length: Option<u64>) -> Stream {
        let gate = self.gate.clone();
        let stream = Stream::new(["one", "two"].into_iter().inspect(move |&chunk| {
            if chunk == "two" {
                gate.pass();
            }
        }));
        if let Some(length) = length { stream.with_length(length) } else { stream }
    }

    #[expose]
    fn events(&self, beat: u64) -> Events {
        self.topic.events(LastEventId::None).heartbeat(Duration::from_secs(beat))
    }

    #[expose]
    fn tell(&self) -> String {
        self.topic.publish("ripe".to_owned()).to_string()
    }

    #[expose]
    fn fail(&self) -> kirsch::Result<()> {
        Err(Error::unexpected("a secret of the program"))
    }

    #[expose(post)]
    fn save(&self) -> &'static str {
        "saved"
    }
}

/// The application behind the proxy.
fn shop(gate: &Gate) -> App {
    App::new(Shop { gate: gate.clone(), topic: Topic::new("news") })
        .tool("/", Proxy::trusting(["127.0.0.1", "unix"]).prefix("X-Forwarded-Prefix"))
        .tool("/", Sessions::in_memory())
        .tool("/", SessionAuth::new(|_, _| false).required(false))
        .tool("/", Csrf::new())
        .settings("/", |settings| settings.debug_page = true)
        .settings("/upload", |settings| settings.max_body = 4 << 20)
}

type Rule = (&'static str, fn(&mut Site));

/// What every proxy must do.
const RULES: [Rule; 17] = [
    ("links are those of the client", links),
    ("redirects lead to the site", redirects),
    ("forms of the site itself come through, and no others", forms),
    ("sessions are kept", sessions),
    ("paths and queries arrive as they were sent", paths),
    ("all methods come through", methods),
    ("large bodies arrive, with a length or in chunks", uploads),
    ("large responses arrive", downloads),
    ("chunks arrive as they are made", streams),
    ("events and heartbeats arrive at once", events),
    ("bodies arrive as they are sent", first_bytes),
    ("slow requests delay no others", slow_requests),
    ("failures show their page, and no secret", failures),
    ("a program below a prefix has right links", below_a_prefix),
    ("TLS ends at the proxy, whose word alone counts", tls),
    ("connections to the server are used again", connections),
    ("the server is down, and comes back", down),
];

fn links(site: &mut Site) {
    let port = site.ports["plain"];
    for host in [format!("127.0.0.1:{port}"), format!("shop.example:{port}"), format!("localhost:{port}")] {
        let asked = site.browser.get("/link").header("host", &host).header("x-forwarded-proto", "https");
        asked.send().assert_text(&format!("http://{host}/x%20y?a=%26 false 127.0.0.1"));
    }
}

fn redirects(site: &mut Site) {
    site.browser.get("/go").send().assert_status(303).assert_header("location", &format!("{}/link", site.origin()));
    let closed = site.browser.get("/closed").header("accept", "text/html").send();
    closed.assert_status(303).assert_header("location", "/login?next=%2Fclosed");
    let redirect = Client::connect((Ipv4Addr::LOCALHOST, site.ports["redirect"]).into());
    let moved = redirect.get("/a%20b?c=d").header("host", "shop.example").send();
    moved.assert_status(308).assert_header("location", "https://shop.example/a%20b?c=d");
}

fn forms(site: &mut Site) {
    for (origin, status) in [(site.origin(), 200), ("http://127.0.0.1".to_owned(), 403)] {
        site.browser.post("/save").header("origin", &origin).send().assert_status(status);
    }
}

fn sessions(site: &mut Site) {
    let visitor = site.browser.new_browser();
    for count in 1..=3 {
        visitor.get("/count").send().assert_text(&format!("Some({count})"));
    }
}

fn paths(site: &mut Site) {
    let asked = site.browser.get("/words/a%20b/c%2Fd/%C3%A4/e%3Ff/g+h?q=%26+%2B").send();
    asked.assert_text("a b|c/d|ä|e?f|g+h Some(\"q=%26+%2B\")");
}

fn methods(site: &mut Site) {
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        site.browser.request(method.clone(), "/method").send().assert_text(method.as_str());
    }
    site.browser.head("/method").send().assert_status(200).assert_text("");
    site.browser.delete("/link").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS, POST");
}

fn uploads(site: &mut Site) {
    let told = format!("{} {}", 3 << 20, (3 << 20) * 7);
    site.browser.put("/upload").body(vec![7; 3 << 20]).send().assert_text(&told);
    let mut raw = site.browser.raw();
    raw.send("PUT /upload HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..48 {
        raw.send("10000\r\n").send(vec![7; 64 << 10]).send("\r\n");
    }
    raw.send("0\r\n\r\n").read_response().assert_text(&told);
    site.browser.put("/upload").body(vec![7; 5 << 20]).send().assert_status(413);
    let expected = site.curl(&["--header", "Expect: 100-continue", "--request", "PUT", "--data", "abc"], "/upload");
    assert_eq!(expected, "3 294");
}

fn downloads(site: &mut Site) {
    let large = site.browser.get("/large").send();
    assert_eq!(large.assert_status(200).bytes().len(), 8 << 20);
}

fn streams(site: &mut Site) {
    for path in ["/stream", "/stream?length=6"] {
        let gate = site.fresh_gate();
        let mut stream = site.browser.get(path).send_streaming();
        assert_eq!(stream.next().as_deref(), Some(&b"one"[..]));
        gate.open();
        assert_eq!(stream.next().as_deref(), Some(&b"two"[..]));
    }
}

fn events(site: &mut Site) {
    let mut stream = site.browser.new_browser().get("/events/1").send_streaming();
    stream.next().expect("a greeting");
    site.browser.get("/tell").send().assert_status(200);
    assert!(stream.next_event().is_some_and(|event| event.starts_with("data: ripe\n")));
    assert_eq!(stream.next().as_deref(), Some(&b":\n\n"[..]));
}

fn first_bytes(site: &mut Site) {
    let gate = site.fresh_gate();
    let mut raw = site.browser.raw();
    raw.send("PUT /first_bytes HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n").send([b'x'; 50_000]);
    gate.wait_for(1);
    gate.open();
    raw.send([b'x'; 50_000]).read_response().assert_text("all");
}

fn slow_requests(site: &mut Site) {
    let gate = site.fresh_gate();
    std::thread::scope(|scope| {
        let held = [(); 4].map(|()| scope.spawn(|| site.browser.new_browser().get("/hold").send().text().to_owned()));
        gate.wait_for(4);
        site.browser.get("/link").send().assert_status(200);
        gate.open();
        for held in held {
            assert_eq!(held.join().expect("it answers"), "held");
        }
    });
}

fn failures(site: &mut Site) {
    site.browser.get("/fail").send().assert_status(500).assert_lacks("secret");
    site.browser.get("/nowhere").send().assert_status(404);
}

fn below_a_prefix(site: &mut Site) {
    if !site.proxy.has_blog {
        return;
    }
    let (origin, browser) = (site.origin(), site.browser.new_browser());
    let forged = browser.get("/link").header("x-forwarded-prefix", "/evil").send();
    forged.assert_text(&format!("{origin}/x%20y?a=%26 false 127.0.0.1"));
    browser.get("/blog/link").send().assert_text(&format!("{origin}/blog/x%20y?a=%26 false 127.0.0.1"));
    browser.get("/blog/go").send().assert_header("location", &format!("{origin}/blog/link"));
    let closed = browser.get("/blog/closed").header("accept", "text/html").send();
    closed.assert_status(303).assert_header("location", "/blog/login?next=%2Fblog%2Fclosed");
    browser.get("/blog/words/a%20b/c%2Fd?q=%26").send().assert_text("a b|c/d Some(\"q=%26\")");
    browser.get("/blog/count").send().assert_text("Some(1)");
    browser.get("/blog/count").send().assert_text("Some(2)");
}

fn tls(site: &mut Site) {
    let origin = format!("https://shop.example:{}", site.ports["tls"]);
    let told = format!("{origin}/x%20y?a=%26 true 127.0.0.9");
    assert_eq!(site.curl(&[], "/link"), told);
    let forged = [
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Port: 81",
        "X-Real-IP: 203.0.113.7",
        "Forwarded: for=203.0.113.7;proto=http;host=evil.example",
    ];
    let forged: Vec<_> = forged.iter().flat_map(|field| ["--header", field]).collect();
    assert_eq!(site.curl(&forged, "/link"), told);
    assert!(site.curl(&["--include"], "/count").contains("; Secure"), "the cookie is for TLS alone");
}

fn connections(site: &mut Site) {
    let running = site.server.as_ref().expect("it runs");
    let accepted = || {
        site.browser.get("/link").send().assert_status(200);
        running.statistics().connections_accepted
    };
    let before = accepted();
    assert_eq!(accepted() == before, site.proxy.keeps_connections);
}

fn down(site: &mut Site) {
    site.server.take().expect("it runs").stop(Duration::from_secs(5));
    site.browser.new_browser().get("/link").send().assert_status(site.proxy.down);
    site.server = Some(shop(&site.gate).start(&site.listen).expect("the address is free"));
    wait_until(|| site.browser.new_browser().get("/link").send().status() == 200);
}

impl Site {
    /// The gate, closed.
    fn fresh_gate(&self) -> Gate {
        self.gate.close();
        self.gate.clone()
    }
}

/// Runs a proxy through the table, once over each way.
fn check(proxy: &'static Installed) {
    if !Path::new(proxy.program).exists() {
        return println!("{} is not installed; `bash check` installs it", proxy.program);
    }
    for way in [Way::Tcp, Way::Unix] {
        let mut site = Site::start(proxy, way);
        for (rule, check) in RULES {
            println!("{} over {way:?}: {rule}", proxy.file);
            check(&mut site);
        }
    }
}

#[test]
fn nginx_as_the_guide_has_it() {
    check(&NGINX);
}

/// It gives a silent server up after two seconds, as the others do after a minute.
const IMPATIENT_NGINX: Installed = Installed {
    adapt: |text| replaced(&(NGINX.adapt)(text), "proxy_read_timeout 1h", "proxy_read_timeout 2s"),
    ..NGINX
};

#[test]
fn heartbeats_keep_a_proxy_from_giving_a_stream_up() {
    if !Path::new(NGINX.program).exists() {
        return println!("{} is not installed; `bash check` installs it", NGINX.program);
    }
    let site = Site::start(&IMPATIENT_NGINX, Way::Tcp);
    let mut silent = site.browser.new_browser().get("/events/60").send_streaming();
    let mut beating = site.browser.new_browser().get("/events/1").send_streaming();
    for stream in [&mut silent, &mut beating] {
        stream.next().expect("a greeting");
    }
    assert!(!matches!(silent.try_next(), Ok(Some(_))), "it is given up");
    (0..3).for_each(|_| assert_eq!(beating.next().as_deref(), Some(&b":\n\n"[..])));
}

#[test]
fn haproxy_as_the_guide_has_it() {
    check(&HAPROXY);
}

#[test]
fn lighttpd_as_the_guide_has_it() {
    check(&LIGHTTPD);
}

#[test]
fn apache_as_the_guide_has_it() {
    check(&APACHE);
}

#[test]
fn apache_with_rewrite_as_the_guide_has_it() {
    check(&APACHE_WITH_REWRITE);
}
