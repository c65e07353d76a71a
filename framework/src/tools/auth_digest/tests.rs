use super::*;
use crate::testing::{Client, TestResponse};
use crate::{App, Tree};
use std::sync::atomic::{AtomicBool, Ordering};

fn tree() -> Tree {
    let who = |call: &mut crate::publish::PageCall<'_>| call.argument::<&Login>().map(|login| login.name().to_owned());
    Tree::new().index(who).page("other", who).page("inward", |_| Err::<(), _>(Error::internal_redirect("/other")))
}

fn users() -> AuthDigest {
    AuthDigest::users("Staff", [("anna", "secret"), ("jürgen", "paß")])
}

fn client(tool: AuthDigest) -> Client {
    Client::in_process(App::new(tree()).tool("/", tool))
}

/// A client's answer to a challenge.
#[derive(Clone)]
struct Answer {
    name: &'static str,
    password: &'static str,
    algorithm: DigestAlgorithm,
    realm: &'static str,
    nonce: String,
    uri: &'static str,
    method: &'static str,
    count: u32,
}

fn answer(client: &Client) -> Answer {
    let refused = client.get("/").send();
    refused.assert_status(401);
    let (name, password, realm) = ("anna", "secret", "Staff");
    Answer {
        name,
        password,
        algorithm: DigestAlgorithm::Sha256,
        realm,
        nonce: nonce(&refused),
        uri: "/",
        method: "GET",
        count: 1,
    }
}

fn nonce(refused: &TestResponse) -> String {
    let challenge = refused.header("www-authenticate").unwrap();
    let (_, rest) = challenge.split_once("nonce=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

impl Answer {
    fn field(&self) -> String {
        let Self { name, password, algorithm, realm, nonce, uri, method, count } = self;
        let Ha1(ha1) = Ha1::new(*algorithm, name, realm, password);
        let ha2 = algorithm.hash(&[method, uri]);
        let response = algorithm.hash(&[&ha1, nonce, &format!("{count:08x}"), "c", "auth", &ha2]);
        let algorithm = algorithm.name();
        format!(
            "Digest username=\"{name}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={algorithm}, qop=auth, nc={count:08x}, cnonce=\"c\""
        )
    }

    fn send(&self, client: &Client) -> TestResponse {
        client.get("/").header("authorization", self.field()).send()
    }
}

#[test]
fn both_algorithms_are_offered_the_better_one_first() {
    let refused = client(users()).get("/").send();
    let offers: Vec<_> =
        refused.headers().filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value).collect();
    assert_eq!(offers.len(), 2);
    for (offer, algorithm) in offers.iter().zip(["SHA-256", "MD5"]) {
        let start = format!("Digest realm=\"Staff\", qop=\"auth\", algorithm={algorithm}, nonce=\"");
        assert!(offer.starts_with(&start) && offer.ends_with("\", charset=\"UTF-8\""), "{offer}");
    }
}

#[test]
fn a_right_answer_lets_in_with_either_algorithm() {
    let client = client(users());
    let first = answer(&client);
    first.send(&client).assert_text("anna");
    Answer { algorithm: DigestAlgorithm::Md5, count: 2, ..first.clone() }.send(&client).assert_text("anna");
    Answer { name: "jürgen", password: "paß", count: 3, ..first }.send(&client).assert_text("jürgen");
}

#[test]
fn a_wrong_answer_is_401_and_not_stale() {
    let client = client(users());
    let right = answer(&client);
    let table = [
        Answer { password: "Secret", ..right.clone() },
        Answer { name: "ben", ..right.clone() },
        Answer { name: "ben", password: "", ..right.clone() },
        Answer { realm: "Other", ..right.clone() },
        Answer { method: "POST", ..right.clone() },
        Answer { nonce: "made-up".to_owned(), ..right.clone() },
        Answer { nonce: Nonces::new().issue("Staff"), ..right },
    ];
    for (number, wrong) in table.iter().enumerate() {
        let refused = wrong.send(&client);
        assert_eq!(refused.status(), 401, "{number}");
        assert!(!refused.header("www-authenticate").unwrap().contains("stale"), "{number}");
    }
    right.send(&client).assert_status(200);
}

#[test]
fn a_replayed_count_is_401_and_not_stale() {
    let client = client(users());
    let first = answer(&client);
    first.send(&client).assert_status(200);
    let refused = first.send(&client);
    refused.assert_status(401);
    assert!(!refused.header("www-authenticate").unwrap().contains("stale"));
    Answer { count: 2, ..first }.send(&client).assert_status(200);
}

#[test]
fn stale_is_an_expired_nonce_with_the_right_answer_only() {
    let client = client(users().nonce_lifetime(Duration::from_nanos(1)));
    let late = answer(&client);
    let stale = |refused: &TestResponse| refused.header("www-authenticate").unwrap().ends_with("stale=true");
    assert!(stale(late.send(&client).assert_status(401)));
    assert!(!stale(Answer { password: "x", ..late }.send(&client).assert_status(401)));
}

#[test]
fn an_answer_for_another_address_is_400() {
    let client = client(users());
    let right = answer(&client);
    for uri in ["/other", "/?a", "http://other.example/", ""] {
        Answer { uri, ..right.clone() }.send(&client).assert_status(400).assert_contains("another address");
    }
    let query = Answer { uri: "/?a=1", ..right };
    client.get("/?a=1").header("authorization", query.field()).send().assert_status(200);
}

#[test]
fn a_path_and_a_whole_url_name_one_resource() {
    let table = [
        ("/~a?b=%c3%bc", "/%7ea?b=%C3%BC", 200),
        ("http://localhost/~a?b", "/~a?b", 200),
        ("/~a?b", "HTTP://LocalHost:80/~a?b", 200),
        ("/~a?b", "https://localhost/~a?b", 200),
        ("http://localhost", "/", 200),
        ("/", "http://localhost", 200),
        ("/~a?b", "http://other.example/~a?b", 400),
        ("http://localhost/~a?b", "http://other.example/~a?b", 400),
        ("/~a?b", "http://localhost:81/~a?b", 400),
        ("/~a?b", "http://localhost/~a", 400),
        ("/~a?b", "http://localhost/~a?c", 400),
        ("/~a", "/~a?", 400),
        ("/a%2Fb", "/a/b", 400),
        ("/~a", "~a", 400),
        ("/~a", "", 400),
    ];
    let client = Client::over_socket(App::new(Tree::new().index(|_| "in").default(|_| "in")).tool("/", users()));
    let first = answer(&client);
    for (count, (target, uri, status)) in (1..).zip(table) {
        let uri: &'static str = uri;
        let field = Answer { uri, count, ..first.clone() }.field();
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {field}\r\n\r\n");
        client.raw().send(head.as_bytes()).read_response().assert_status(status);
    }
}

#[test]
fn other_schemes_are_401_and_what_cannot_be_read_is_400() {
    let client = client(users());
    client.get("/").header("authorization", "Basic YW5uYTpzZWNyZXQ=").send().assert_status(401);
    client
        .get("/")
        .header("authorization", "Digest")
        .send()
        .assert_status(400)
        .assert_contains("`username` is missing");
    let legacy = answer(&client).field().replace("qop=auth,", "");
    client.get("/").header("authorization", legacy).send().assert_status(400).assert_contains("`qop` must be auth");
    let session = answer(&client).field().replace("SHA-256", "SHA-256-sess");
    client.get("/").header("authorization", session).send().assert_status(401);
}

#[test]
fn an_internal_redirect_does_not_use_the_count_again() {
    let client = client(users());
    let inward = Answer { uri: "/inward", ..answer(&client) };
    client.get("/inward").header("authorization", inward.field()).send().assert_text("anna");
}

#[test]
fn a_file_is_offered_with_the_hashes_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staff");
    let Ha1(hash) = Ha1::new(DigestAlgorithm::Md5, "anna", "Staff", "secret");
    std::fs::write(&path, format!("anna:Staff:{hash}\n")).unwrap();
    let client = client(AuthDigest::file("Staff", &path));
    let refused = client.get("/").send();
    assert_eq!(refused.headers().filter(|(name, _)| *name == "www-authenticate").count(), 1);
    Answer { algorithm: DigestAlgorithm::Md5, ..answer(&client) }.send(&client).assert_text("anna");
    answer(&client).send(&client).assert_status(401);
}

#[test]
fn wrong_settings_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staff");
    std::fs::write(&path, format!("anna:Other:{}\n", "0".repeat(32))).unwrap();
    let table = [
        ("auth_digest.algorithms = [\"SHA-512\"]".to_owned(), "has \"SHA-512\"; there are"),
        ("auth_digest.algorithms = []".to_owned(), "no user could log in"),
        ("auth_digest.nonce_lifetime = \"0s\"".to_owned(), "no user could log in"),
        ("auth_digest.realm = \"ü\"".to_owned(), "has a character"),
        ("auth_digest.file = \"/no/such\"".to_owned(), "/no/such: No such file"),
        (format!("auth_digest.file = {path:?}"), "has no user of the realm \"Staff\"; it has \"Other\""),
        (
            format!(
                "auth_digest.realm = \"Other\"\nauth_digest.file = {path:?}\nauth_digest.algorithms = [\"SHA-256\"]"
            ),
            "other hashes",
        ),
    ];
    for (text, problem) in table {
        let error =
            App::new(tree()).tool("/", users()).config_str(format!("[\"/\"]\n{text}")).build().unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn who_is_not_known_any_more_when_his_body_is_there_is_asked_again() {
    let known = Arc::new(AtomicBool::new(true));
    let knows = known.clone();
    let find = move |name: &str, realm: &str, algorithm| {
        knows.load(Ordering::SeqCst).then(|| Ha1::new(algorithm, name, realm, "secret"))
    };
    let client = Client::over_socket(App::new(tree()).tool("/", AuthDigest::new("Staff", find)));
    let proof = Answer { method: "POST", ..answer(&client) };
    let begin = |count| {
        let field = Answer { count, ..proof.clone() }.field();
        let mut connection = client.raw();
        connection.send(format!("POST / HTTP/1.1\r\nHost: a\r\nAuthorization: {field}\r\nContent-Length: 2\r\n\r\nx"));
        connection
    };
    begin(1).send("y").read_response().assert_text("anna");
    let mut late = begin(2);
    // Answered after the head of the other was looked at: both came to one server, one after the other.
    begin(3).send("y").read_response().assert_text("anna");
    known.store(false, Ordering::SeqCst);
    late.send("y").read_response().assert_status(401);
}
