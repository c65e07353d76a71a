//! The promises of the tool to the rest of the framework.

use super::Proxy;
use crate::testing::Client;
use crate::{App, Request, Session, Sessions, handlers};

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self, request: &Request) -> String {
        let said = request.header("x-forwarded-for").unwrap_or("nothing");
        format!("{} {} {said}", request.remote(), request.origin())
    }

    #[expose]
    fn sign_in(&self, session: &Session) {
        session.set("user", "ann");
    }

    #[child]
    fn dir(&self) -> Self {
        Self
    }
}

fn client(proxy: Proxy) -> Client {
    Client::over_socket(App::new(Pages).tool("/", proxy).tool("/", Sessions::in_memory()))
}

#[test]
fn an_untrusted_peer_is_not_believed_and_not_heard() {
    let client = client(Proxy::trusting(["10.0.0.0/8"]));
    let asked = client.get("/").header("host", "a.example").header("x-forwarded-for", "203.0.113.7");
    let answer = asked.header("x-forwarded-proto", "https").header("forwarded", "for=203.0.113.7").send();
    answer.assert_text("127.0.0.1 http://a.example nothing");
}

#[test]
fn redirects_and_cookies_behind_a_proxy_are_those_of_its_client() {
    let client = client(Proxy::trusting(["loopback"]));
    let secure =
        |path| client.get(path).header("x-forwarded-proto", "https").header("x-forwarded-for", "203.0.113.7").send();
    assert!(secure("/sign_in").header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")));
    assert!(
        client
            .new_browser()
            .get("/sign_in")
            .send()
            .header("set-cookie")
            .is_some_and(|cookie| !cookie.contains("Secure"))
    );
}

fn other_fields() -> Client {
    let proxy = Proxy::trusting(["loopback"]).scheme("Front-End-Https").remote("X-Real-IP").host("X-Forwarded-Host");
    client(proxy.port("X-Forwarded-Port"))
}

#[test]
fn other_fields_may_be_named() {
    let client = other_fields();
    let asked = client.get("/").header("front-end-https", "on").header("x-real-ip", "203.0.113.7");
    let answer = asked.header("x-forwarded-host", "shop.example").header("x-forwarded-port", "8443").send();
    answer.assert_text("203.0.113.7 https://shop.example:8443 nothing");
}

#[test]
fn the_port_of_the_scheme_is_not_written() {
    let asked = other_fields().get("/").header("host", "shop.example:81").header("x-forwarded-port", "443");
    asked.header("front-end-https", "on").send().assert_contains("https://shop.example nothing");
}

#[test]
fn an_untrusted_host_is_the_clients() {
    let client = client(Proxy::trusting(["loopback"]));
    let asked = client.get("/").header("host", "a.example").header("x-forwarded-host", "evil.example");
    asked.send().assert_contains("http://a.example");
}

#[test]
fn one_way_of_saying_it_is_believed_at_a_time() {
    let ask = |proxy| {
        let asked =
            client(proxy).get("/").header("forwarded", "for=203.0.113.1").header("x-forwarded-for", "203.0.113.2");
        asked.send().text().to_owned()
    };
    assert!(ask(Proxy::trusting(["loopback"])).starts_with("203.0.113.2 "));
    assert!(ask(Proxy::trusting(["loopback"]).forwarded(true)).starts_with("203.0.113.1 "));
}

#[test]
fn a_wrong_set_up_stops_the_start_with_the_remedy() {
    let problem = |path: &str, proxy, file: &str| {
        App::new(Pages)
            .tool(path, proxy)
            .tool("/", Sessions::in_memory())
            .config_str(file)
            .build()
            .unwrap_err()
            .to_string()
    };
    assert!(problem("/dir", Proxy::trusting(["loopback"]), "").contains("switch the tool on at \"/\""));
    assert!(problem("/", Proxy::trusting::<&str>([]), "").contains("name the networks of your proxies"));
    assert!(
        problem("/", Proxy::trusting(["loopback"]), "[\"/\"]\nproxy.trusted = [\"10.0.0.1/8\"]")
            .contains("bits behind /8")
    );
    assert!(
        problem("/", Proxy::trusting(["loopback"]), "[\"/\"]\nproxy.trust = []").contains("did you mean `trusted`?")
    );
    assert!(problem("/", Proxy::trusting(["loopback"]).host("a b"), "").contains("cannot be the name of a field"));
}
