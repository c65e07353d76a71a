//! The visitors that are let in, and those that are not: with clients of other authors, over a socket, and with a
//! browser.

use kirsch::passwords;
use kirsch::tools::{AuthBasic, AuthDigest, DigestAlgorithm, SessionAuth};
use kirsch::{prelude::*, testing::Client};
use std::process::{Command, Stdio};

struct Hello;

#[handlers]
impl Hello {
    #[expose]
    fn index(&self, login: Option<&Login>, q: Option<String>) -> String {
        format!("{} {}", login.map_or("nobody", Login::name), q.unwrap_or_default())
    }

    #[expose]
    fn upload(&self, login: &Login, body: Bytes) -> String {
        format!("{} bytes of {login}", body.0.len())
    }
}

/// The output of curl for these pages: content and status of each response.
#[track_caller]
fn curl(client: &Client, options: &[&str], paths: &[&str]) -> String {
    let address = client.address().expect("it has a socket");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--write-out", " %{http_code}\n"]);
    command.args(options).args(paths.iter().map(|path| format!("http://{address}{path}"))).stdin(Stdio::null());
    let output = command.output().expect("this test needs the program `curl`; install it with `apt-get install curl`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("texts")
}

#[test]
fn curl_logs_in_with_a_name_and_a_password_of_an_htpasswd_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("members");
    // `htpasswd -nbB anna secret`
    let bcrypt = "$2y$05$u045hG1jpraCACBWg5cb.e81yv0y3Q6xwojRRN66RzdPXlMLJNd0i";
    std::fs::write(&file, format!("anna:{bcrypt}\njürgen:{}\n", passwords::hash("paß:wort"))).expect("a file");
    let client = Client::over_socket(App::new(Hello).tool("/", AuthBasic::file("Members", &file)));
    assert_eq!(curl(&client, &["--basic", "--user", "anna:secret"], &["/"]), "anna  200\n");
    assert_eq!(curl(&client, &["--user", "jürgen:paß:wort"], &["/?q=x"]), "jürgen x 200\n");
    assert_eq!(curl(&client, &["--anyauth", "--user", "anna:secret"], &["/"]), "anna  200\n");
    for wrong in ["anna:paß:wort", "ben:secret", "anna:", ":"] {
        assert!(curl(&client, &["--user", wrong], &["/"]).ends_with(" 401\n"), "{wrong}");
    }
    assert!(curl(&client, &["--digest", "--user", "anna:secret"], &["/"]).ends_with(" 401\n"));
}

#[test]
fn curl_proves_its_password_with_both_algorithms() {
    let users = [("anna", "secret"), ("a\"\\ü", "p:w")];
    for algorithms in
        [&[DigestAlgorithm::Sha256, DigestAlgorithm::Md5][..], &[DigestAlgorithm::Sha256], &[DigestAlgorithm::Md5]]
    {
        let tool = AuthDigest::users("All \"staff\"", users).algorithms(algorithms.iter().copied());
        let client = Client::over_socket(App::new(Hello).tool("/", tool));
        // Over one connection, with one nonce, counted.
        let pages = curl(&client, &["--digest", "--user", "anna:secret"], &["/", "/?q=a%20b", "/upload", "/"]);
        assert_eq!(pages, "anna  200\nanna a b 200\n0 bytes of anna 200\nanna  200\n");
        let sent = curl(&client, &["--digest", "--user", "anna:secret", "--data", "12345"], &["/upload"]);
        assert_eq!(sent, "5 bytes of anna 200\n");
        assert_eq!(curl(&client, &["--digest", "--user", "a\"\\ü:p:w"], &["/"]), "a\"\\ü  200\n");
        for wrong in ["anna:Secret", "ben:secret", "anna:"] {
            assert!(curl(&client, &["--digest", "--user", wrong], &["/"]).ends_with(" 401\n"), "{wrong}");
        }
        assert!(curl(&client, &["--basic", "--user", "anna:secret"], &["/"]).ends_with(" 401\n"));
    }
}

/// Opens the address with name and password, and prints the page, or the status.
const PYTHON: &str = r"
import sys, urllib.error, urllib.request as request
address, name, password, realm = sys.argv[1:]
known = request.HTTPPasswordMgr()
known.add_password(realm, address, name, password)
opener = request.build_opener(request.ProxyHandler({}), request.HTTPDigestAuthHandler(known), request.HTTPBasicAuthHandler(known))
for path, content in [('/', None), ('/?q=a%20b', None), ('/upload', b'12345')]:
    try:
        print(opener.open(address + path, content, timeout=20).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code)
";

/// The output of Python's urllib for the pages.
#[track_caller]
fn urllib(client: &Client, name: &str, password: &str, realm: &str) -> String {
    let address = format!("http://{}", client.address().expect("it has a socket"));
    let mut command = Command::new("python3");
    command.args(["-X", "utf8", "-c", PYTHON, &address, name, password, realm]).stdin(Stdio::null());
    let output =
        command.output().expect("this test needs the program `python3`; install it with `apt-get install python3`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("texts")
}

// It reads the first challenge only, and fails if that is of SHA-256.
#[test]
fn pythons_urllib_proves_its_password_with_md5() {
    let tool = AuthDigest::users("Staff", [("anna", "secret")]);
    let app = App::new(Hello).tool("/", tool).config_str("[\"/\"]\nauth_digest.algorithms = [\"MD5\"]");
    let client = Client::over_socket(app);
    assert_eq!(urllib(&client, "anna", "secret", "Staff"), "anna \nanna a b\n5 bytes of anna\n");
    assert_eq!(urllib(&client, "ben", "secret", "Staff"), "401\n401\n401\n");
}

#[test]
fn pythons_urllib_logs_in_with_a_name_and_a_password() {
    let client = Client::over_socket(App::new(Hello).tool("/", AuthBasic::users("Staff", [("jürgen", "paß:wort")])));
    assert_eq!(urllib(&client, "jürgen", "paß:wort", "Staff"), "jürgen \njürgen a b\n5 bytes of jürgen\n");
    assert_eq!(urllib(&client, "jürgen", "wort", "Staff"), "401\n401\n401\n");
}

#[test]
fn a_stranger_uploads_nothing() {
    let tool = AuthBasic::users("Staff", [("anna", "secret")]);
    let client = Client::over_socket(App::new(Hello).tool("/", tool));
    let mut connection = client.raw();
    connection.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    connection.read_response().assert_status(401);
}

#[test]
fn curl_logs_in_with_the_form_and_stays_logged_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("members");
    std::fs::write(&file, format!("anna:{}\n", passwords::hash("secret"))).expect("a file");
    let app = App::new(Hello).tool("/", Sessions::in_memory()).tool("/", SessionAuth::file(&file));
    let client = Client::over_socket(app);
    let jar = folder.path().join("jar");
    let jar = jar.to_str().expect("a path of text");
    let curl = |options: &[&str], paths: &[&str]| {
        let common = ["--cookie", jar, "--cookie-jar", jar, "--location", "--header", "Accept: text/html"];
        curl(&client, &[&common, options].concat(), paths)
    };
    let page = curl(&[], &["/?q=wanted"]);
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let (wrong, right) = (
        format!("token={token}&name=anna&password=x&next=/"),
        format!("token={token}&name=anna&password=secret&next=/?q=wanted"),
    );
    assert!(curl(&["--data", &wrong], &["/login"]).ends_with(" 401\n"));
    assert_eq!(curl(&["--data", &right], &["/login"]), "anna wanted 200\n");
    assert_eq!(curl(&[], &["/?q=again"]), "anna again 200\n");
    assert!(curl(&["--data", ""], &["/logout"]).contains("name=\"password\""));
    assert!(curl(&[], &["/"]).contains("name=\"password\""));
}

#[test]
fn a_login_form_that_is_too_large_is_refused() {
    let app = App::new(Hello).tool("/", Sessions::in_memory()).tool("/", SessionAuth::new(|_, _| true));
    let client = Client::over_socket(app.config_str("[\"/\"]\nmax_form = 1000"));
    client.post("/login").form(&[("name", &"a".repeat(1000))]).send().assert_status(413);
    client.post("/login").body("{}").header("content-type", "application/json").send().assert_status(403);
    let parts = kirsch::testing::FormData::new().field("name", "anna").file("password", "a.txt", "text/plain", "x");
    client.post("/login").form_data(parts).send().assert_status(403);
}

#[test]
fn a_cache_keeps_no_page_of_one_visitor() {
    let app = || App::new(Hello).tool("/", Sessions::in_memory()).tool("/", Caching::default());
    let basic = Client::in_process(app().tool("/", AuthBasic::users("a", [("anna", "x"), ("ben", "x")])));
    for (credentials, name) in [("YW5uYTp4", "anna "), ("YmVuOng=", "ben ")] {
        let page = basic.get("/").header("authorization", format!("Basic {credentials}")).send();
        page.assert_text(name);
    }
    basic.get("/").send().assert_status(401);
    let anna = Client::in_process(app().tool("/", SessionAuth::new(|_, _| true).required(false)));
    anna.get("/").send().assert_text("nobody ");
    let page = anna.get("/login").send();
    let token = page.text().split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = [("token", token.expect("a token")), ("name", "anna"), ("password", "x")];
    anna.post("/login").form(&form).send().assert_status(303);
    anna.get("/").send().assert_text("anna ");
    anna.new_browser().get("/").send().assert_text("nobody ");
}
