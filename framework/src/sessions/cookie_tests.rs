//! Whole requests with sessions that are in their cookies, alone and paired with a store.

use super::*;
use crate::exchange::{Admission, Admit, Wait, Wakers};
use crate::prelude::*;
use crate::testing::Client;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

const SECRET: &str = "PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=";
const OLD: &str = "D1S3m6qnbJyNnXy8A2QWqJ6fG1e0iU5oB7r9tZ4vKcw=";

struct Pages;

#[crate::handlers]
impl Pages {
    #[expose]
    fn set(&self, value: &str, session: &Session) {
        session.set("value", value);
    }

    #[expose]
    fn get(&self, session: SessionView) -> String {
        session.get("value").unwrap_or_default()
    }

    #[expose]
    fn fail(&self, session: &Session) -> Result<String, Error> {
        session.set("value", "failed");
        Err(Error::unexpected("this page fails"))
    }

    #[expose]
    fn large(&self, size: usize, session: &Session) {
        session.set("basket", "x".repeat(size));
    }

    #[expose]
    fn count(&self, session: &Session) -> String {
        session.update("count", |count: &mut u64| {
            *count += 1;
            count.to_string()
        })
    }

    #[expose]
    fn counted(&self, session: &Session) -> String {
        session.get::<u64>("count").unwrap_or_default().to_string()
    }

    #[expose]
    fn login(&self, session: &Session) -> String {
        session.regenerate();
        session.id().reveal()
    }

    #[expose]
    fn logout(&self, session: &Session) {
        session.delete();
    }

    #[expose]
    fn missing(&self, session: &Session) -> String {
        session.is_missing().to_string()
    }
}

fn site(seal: impl Into<CookieSeal>) -> Client {
    Client::in_process(App::new(Pages).tool("/", Sessions::cookie(seal)))
}

fn paired() -> (Arc<MemoryStore>, Client) {
    let store = Arc::new(MemoryStore::new());
    (Arc::clone(&store), site(CookieSeal::encrypted(SECRET).paired_with(store)))
}

/// Logs the visitor out in another tab while the request is under way, if its `x-logout` says when: before its session
/// is opened, during a wait after that, or when its handler is done.
#[derive(Clone, Default)]
struct OtherTab(Arc<OnceLock<Client>>);

impl OtherTab {
    fn log_out(&self, exchange: &Exchange, when: &str) -> bool {
        let is_now = exchange.request.header("x-logout") == Some(when);
        if is_now {
            self.0.get().expect("another tab").get("/logout").send().assert_status(200);
        }
        is_now
    }
}

impl Tool for OtherTab {
    fn name(&self) -> &'static str {
        "other_tab"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let [before, after] = [self.clone(), self.clone()];
        hooks.at(HookPoint::OnStartResource, move |exchange| {
            before.log_out(exchange, "early");
            let _seen = Session::of(exchange).and_then(|session| session.get::<String>("value"));
        });
        hooks.admission(self.clone());
        hooks.at(HookPoint::BeforeFinalize, move |exchange| {
            after.log_out(exchange, "late");
        });
    }
}

impl Admit for OtherTab {
    fn admit(&self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        let waits = self.log_out(exchange, "in_between");
        Ok(if waits { Admission::park(OneTurn(false), std::time::Duration::from_secs(60)) } else { Admission::Go })
    }

    fn priority(&self) -> u8 {
        10
    }
}

/// A wait that is over when it is asked again.
struct OneTurn(bool);

impl Wait for OneTurn {
    fn ready(&mut self, _: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        wakers.waker().wake();
        Ok(std::mem::replace(&mut self.0, true))
    }

    fn waits_for(&self) -> Cow<'static, str> {
        Cow::Borrowed("its next turn")
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }
}

/// Visitors with a session in both of their tabs, alone and paired with a store.
fn visitors() -> [Client; 2] {
    let seals = [CookieSeal::encrypted(SECRET), CookieSeal::encrypted(SECRET).paired_with(MemoryStore::new())];
    seals.map(|seal| {
        let other_tab = OtherTab::default();
        let client = Client::in_process(App::new(Pages).tool("/", Sessions::cookie(seal)).tool("/", other_tab.clone()));
        client.get("/set?value=old").send().assert_status(200);
        let tab = client.new_browser();
        tab.set_cookie("session_id", &cookie(&client));
        assert!(other_tab.0.set(tab).is_ok());
        client
    })
}

fn cookie(client: &Client) -> String {
    client.cookie("session_id").expect("a session")
}

#[test]
fn the_content_is_in_the_cookie_and_any_process_with_the_secret_reads_it() {
    for seal in [CookieSeal::encrypted, CookieSeal::signed] {
        let (here, there) = (site(seal(SECRET)), site(seal(SECRET)));
        here.get("/set?value=ann").send().assert_status(200);
        there.set_cookie("session_id", &cookie(&here));
        there.get("/get").send().assert_text("ann").assert_no_header("set-cookie");
        there.get("/set?value=ann").send().assert_no_header("set-cookie");
        assert!(there.get("/set?value=bob").send().header("set-cookie").is_some());
        there.get("/get").send().assert_text("bob");
        there.new_browser().get("/get").send().assert_text("").assert_no_header("set-cookie");
    }
}

#[test]
fn planted_cookies_do_not_push_a_sealed_session_out() {
    let client = site(SECRET);
    client.get("/set?value=ann").send().assert_status(200);
    let (own, planted) = (cookie(&client), "x".repeat(80));
    for planted in ["session_id=x; ".repeat(40), format!("session_id={planted}; ").repeat(20)] {
        let cookies = format!("{planted}session_id={own}");
        client.new_browser().get("/get").header("cookie", &cookies).send().assert_text("ann");
    }
}

#[test]
fn a_request_that_fails_changes_nothing() {
    let client = site(SECRET);
    client.get("/set?value=old").send().assert_status(200);
    client.get("/fail").send().assert_status(500).assert_no_header("set-cookie");
    client.get("/get").send().assert_text("old");
}

#[test]
fn a_session_that_no_browser_would_keep_is_a_clear_error_and_stays_as_it_was() {
    let client = site(SECRET);
    client.get("/set?value=old").send().assert_status(200);
    let field = client.get("/large?size=2850").send().header("set-cookie").expect("it fits").len();
    assert!((3900..=4096).contains(&field), "{field}");
    let records = crate::logs::capture::records("kirsch::sessions", || {
        client.get("/large?size=3100").send().assert_status(500).assert_no_header("set-cookie");
    });
    let is_told = |line: &str| line.contains("the maximum is 4096") && line.contains("\"basket\" (3110 bytes)");
    assert!(matches!(&*records, [line] if is_told(line)), "{records:?}");
    client.get("/get").send().assert_text("old");
}

#[test]
fn a_foreign_cookie_is_not_a_session() {
    let client = site(SECRET);
    let stranger = site(OLD);
    stranger.get("/set?value=evil").send().assert_status(200);
    for value in ["evil", "", &"A".repeat(3000), &"0".repeat(40), &cookie(&stranger)] {
        client.set_cookie("session_id", value);
        client.get("/get").send().assert_status(200).assert_text("");
        client.get("/missing").send().assert_text("true").assert_no_header("set-cookie");
    }
    client.get("/set?value=new").send().assert_status(200);
    client.get("/get").send().assert_text("new");
    let twice = client.new_browser();
    let field = format!("session_id=evil; session_id={}", cookie(&client));
    twice.get("/get").header("cookie", field).send().assert_text("new");
}

#[test]
fn a_login_keeps_the_values_and_a_logout_takes_the_cookie_away() {
    for client in [site(SECRET), paired().1] {
        client.get("/set?value=kept").send().assert_status(200);
        let ids = ["/login", "/login"].map(|path| client.get(path).send().assert_status(200).text().to_owned());
        assert_ne!(ids[0], ids[1]);
        client.get("/get").send().assert_text("kept");
        client.get("/logout").send().assert_status(200);
        assert_eq!(client.cookie("session_id"), None);
    }
}

#[test]
fn an_old_cookie_comes_back_unless_the_sessions_are_paired_with_a_store() {
    for (client, after_logout) in [(site(SECRET), "secret"), (paired().1, "")] {
        client.get("/set?value=secret").send().assert_status(200);
        let thief = client.new_browser();
        thief.set_cookie("session_id", &cookie(&client));
        client.get("/logout").send().assert_status(200);
        thief.get("/get").send().assert_text(after_logout);
    }
}

#[test]
fn a_change_of_a_session_that_was_ended_meanwhile_is_a_conflict() {
    for when in ["early", "in_between", "late"] {
        for client in visitors() {
            let response = client.get("/set?value=new").header("x-logout", when).send();
            assert_eq!((response.status().as_u16(), response.header("set-cookie")), (409, None), "{when}");
        }
    }
}

#[test]
fn a_reader_that_has_waited_does_not_see_a_session_that_was_ended_meanwhile() {
    for (when, seen) in [("early", ""), ("in_between", ""), ("late", "old")] {
        for client in visitors() {
            let response = client.get("/get").header("x-logout", when).send();
            assert_eq!((response.text(), response.header("set-cookie")), (seen, None), "{when}");
        }
    }
}

#[test]
fn two_updates_of_one_cookie_are_a_conflict_if_paired_and_one_is_lost_if_not() {
    for (client, status, count) in [(site(SECRET), 200, "1"), (paired().1, 409, "0")] {
        client.get("/set?value=old").send().assert_status(200);
        let tab = client.new_browser();
        tab.set_cookie("session_id", &cookie(&client));
        client.get("/set?value=new").send().assert_status(200);
        tab.get("/get").send().assert_text("old");
        tab.get("/count").send().assert_status(status);
        tab.get("/counted").send().assert_text(count);
    }
}

#[test]
fn paired_with_a_store_every_update_that_is_answered_with_200_counts() {
    let (_, client) = paired();
    client.get("/count").send().assert_text("1");
    let kept = parking_lot::Mutex::new(vec![1]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let response = client.get("/count").send();
                    match response.status().as_u16() {
                        200 => kept.lock().push(response.text().parse::<usize>().expect("a number")),
                        status => assert_eq!(status, 409),
                    }
                }
            });
        }
    });
    let mut kept = kept.into_inner();
    kept.sort_unstable();
    assert_eq!(kept, (1..=kept.len()).collect::<Vec<_>>(), "each is based on the one before");
}

#[test]
fn a_cookie_of_an_old_secret_is_sealed_again_at_its_next_use() {
    let before = site(OLD);
    before.get("/set?value=kept").send().assert_status(200);
    let client = site(CookieSeal::encrypted(SECRET).also_reads(OLD));
    client.set_cookie("session_id", &cookie(&before));
    assert!(client.get("/get").send().assert_text("kept").header("set-cookie").is_some());
    client.get("/get").send().assert_text("kept").assert_no_header("set-cookie");
    let after = site(SECRET);
    after.set_cookie("session_id", &cookie(&client));
    after.get("/get").send().assert_text("kept");
}

#[test]
fn secrets_come_from_files_too_and_weak_ones_stop_the_start() {
    let start = |sessions: Sessions, text: &str| {
        App::new(Pages).tool("/", sessions).config_str(text).build().map(drop).map_err(|error| error.to_string())
    };
    let message = start(Sessions::cookie("short"), "").expect_err("a weak secret");
    assert!(message.contains("`secret` has 5 bytes; a secret for cookies has at least 32"), "{message}");
    let message = start(Sessions::cookie(SECRET), "[\"/\"]\nsessions.secret = \"weak\"").expect_err("a weak secret");
    assert!(message.contains("secret"), "{message}");
    let text = format!(
        "[\"/\"]\nsessions.secret = {SECRET:?}\nsessions.old_secrets = [{OLD:?}]\nsessions.protection = \"signed\""
    );
    assert_eq!(start(Sessions::cookie(OLD), &text), Ok(()));
    let message = start(Sessions::cookie(SECRET), "[\"/\"]\nsessions.secrets = \"x\"").expect_err("no such key");
    assert!(
        message.contains("did you mean `sessions.secret`?") || message.contains("did you mean `secret`?"),
        "{message}"
    );
}

#[test]
fn a_secret_that_is_wrong_is_not_in_the_message() {
    let hidden = "correct-horse-battery";
    let table = [
        format!("sessions.old_secrets = \"{hidden}\""),
        format!("sessions.old_secrets = [\"{hidden}\"]"),
        format!("sessions.old_secrets = [[\"{hidden}\"]]"),
        format!("sessions.secret = \"{hidden}\""),
        format!("sessions.secret = [\"{hidden}\"]"),
        format!("sessions.secret = {{ a = \"{hidden}\" }}"),
        format!("sessions.secrets = \"{hidden}\""),
        format!("sessions = \"{hidden}\""),
        format!("sessions.secret = \"{hidden}"),
        format!("sessions.secret = {hidden}"),
        format!("sessions.secret \"{hidden}\""),
        format!("sessions.secret = \"{hidden}\" \"{hidden}\""),
        format!("sessions.secret = \"\\q{hidden}\""),
    ];
    for line in table {
        let app = App::new(Pages).tool("/", Sessions::cookie(SECRET)).config_str(format!("[\"/\"]\n{line}"));
        let said = app.build().err().unwrap_or_else(|| panic!("{line} is wrong"));
        let said = format!("{said} {said:?}");
        assert!(!said.contains("correct") && !said.contains("horse"), "{line}: {said}");
    }
    let tool = Sessions::cookie(CookieSeal::signed(SECRET).also_reads(OLD));
    assert!(!format!("{tool:?}").contains(&SECRET[..8]) && !format!("{tool:?}").contains(&OLD[..8]), "{tool:?}");
}
