//! Guests talk in rooms.

use kirsch::testing::{Client, WebSocket};

fn guest(client: &Client, name: &str) -> Client {
    let browser = client.new_browser();
    browser.login(name, "kirsch").assert_status(200);
    browser
}

/// The next news that has this text.
fn news(socket: &mut WebSocket, part: &str) -> String {
    loop {
        let news = socket.text();
        if news.contains(part) {
            return news;
        }
    }
}

#[test]
fn guests_see_who_is_here_what_was_said_and_what_is_said() {
    let client = Client::over_socket(chat::app());
    let (anna, ben) = (guest(&client, "anna"), guest(&client, "ben"));
    let mut first = anna.websocket("/talk/hall");
    news(&mut first, r#""names":["anna"]"#);
    first.send("Is anybody here?");
    news(&mut first, r#"{"kind":"said","who":"anna","text":"Is anybody here?"}"#);
    let mut second = ben.websocket("/talk/hall");
    assert!(second.text().contains("Is anybody here?"), "the history comes first");
    news(&mut first, r#""names":["anna","ben"]"#);
    second.send("I am");
    news(&mut first, "I am");
    second.close(1000, "");
    assert_eq!(second.close_code(), Some(1000));
    news(&mut first, r#""names":["anna"]"#);
    let mut elsewhere = ben.websocket("/talk/garden");
    assert!(elsewhere.text().contains(r#""names":["ben"]"#));
}

#[test]
fn strangers_are_not_let_in_and_a_logout_ends_the_talk() {
    let client = Client::over_socket(chat::app());
    client.try_websocket("/talk/hall", &[]).expect_err("a stranger").assert_status(401);
    let anna = guest(&client, "anna");
    let mut socket = anna.websocket("/talk/hall");
    news(&mut socket, "anna");
    anna.post("/logout").send().assert_status(303);
    assert_eq!(socket.close_code(), Some(1008));
}

#[test]
fn rules_of_the_house_end_the_talk() {
    let client = Client::over_socket(chat::app());
    let anna = guest(&client, "anna");
    for (message, code) in [("x".repeat(1001), 1008), ("x".repeat(5000), 1009)] {
        let mut socket = anna.websocket("/talk/hall");
        assert_eq!(socket.send(&message).close_code(), Some(code));
    }
    let mut socket = anna.websocket("/talk/hall");
    assert_eq!(socket.send(&vec![1, 2, 3]).close_code(), Some(1003));
    anna.try_websocket(&format!("/talk/{}", "r".repeat(31)), &[]).expect_err("too long").assert_status(404);
}
