//! The proxies of the deployment guide, run as the guide writes them: links, forms and the client's scheme are right
//! behind each, on a port that is not the usual one.

use integration_tests::engines::{Engine, free_port};
use kirsch::{
    prelude::*,
    testing::Client,
    tools::{Csrf, Proxy},
};
use std::net::Ipv4Addr;

const GUIDE: &str = include_str!("../../docs/guide/deployment.md");

/// The block of this language in the guide, for a server at this address.
fn block(language: &str, server: &Client) -> String {
    let (_, behind) = GUIDE.split_once(&format!("```{language}\n")).expect("the guide has it");
    let (block, _) = behind.split_once("```").expect("it ends");
    block.replace("127.0.0.1:8080", &server.address().expect("a socket").to_string())
}

fn server() -> Client {
    let tree = Tree::new()
        .page("link", |call| format!("{} {}", call.request().url("/x"), call.request().is_secure()))
        .page("save", |_| "saved")
        .page("fail", |_| Err::<(), _>(Error::unexpected("a secret of the program")));
    let app = App::new(tree).tool("/", Proxy::trusting(["loopback"])).tool("/", Csrf::new());
    Client::over_socket(app.settings("/", |settings| settings.debug_page = true))
}

fn check(port: u16) {
    let proxy = Client::connect((Ipv4Addr::LOCALHOST, port).into());
    for host in [format!("127.0.0.1:{port}"), format!("shop.example:{port}"), format!("localhost:{port}")] {
        let get = |path| proxy.get(path).header("host", &host);
        get("/link").header("x-forwarded-proto", "https").send().assert_text(&format!("http://{host}/x false"));
        for (origin, status) in [(format!("http://{host}"), 200), ("http://shop.example".to_owned(), 403)] {
            proxy.post("/save").header("host", &host).header("origin", &origin).send().assert_status(status);
        }
        get("/fail").send().assert_status(500).assert_lacks("secret");
    }
}

#[test]
fn nginx_as_the_guide_has_it() {
    let (server, port) = (server(), free_port());
    let folders =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};\n"));
    let text = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{}server {{\nlisten 127.0.0.1:{port};\n{}}}\n}}\n",
        folders.concat(),
        block("nginx", &server)
    );
    let start = "/usr/sbin/nginx -p {folder} -c {folder}/nginx.conf -e stderr";
    let _nginx = Engine::start_with_file(port, start, "nginx.conf", &text);
    check(port);
}

#[test]
fn haproxy_as_the_guide_has_it() {
    let (server, port) = (server(), free_port());
    let timeouts = "defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n\n";
    let guide = block("haproxy", &server).replace(":443 ssl crt /etc/site.pem", &format!("127.0.0.1:{port}"));
    let start = "/usr/sbin/haproxy -db -f {folder}/haproxy.cfg";
    let _haproxy = Engine::start_with_file(port, start, "haproxy.cfg", &format!("{timeouts}{guide}"));
    check(port);
}

#[test]
fn apache_as_the_guide_has_it() {
    let (server, port) = (server(), free_port());
    let modules = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http"];
    let load = |name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let text = format!(
        "ServerName localhost\nListen 127.0.0.1:{port}\nPidFile apache.pid\nErrorLog /dev/stderr\nDefaultRuntimeDir .\n{}{}",
        modules.map(load).concat(),
        block("apache", &server)
    );
    // One process: it ends with its parent.
    let start = "/usr/sbin/apache2 -X -d {folder} -f {folder}/apache.conf";
    let _apache = Engine::start_with_file(port, start, "apache.conf", &text);
    check(port);
}
