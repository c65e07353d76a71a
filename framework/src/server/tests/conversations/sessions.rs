//! Conversations and the session of their visitor.

use super::*;
#[cfg(feature = "file")]
use crate::sessions::FileStore;

#[test]
fn a_conversation_holds_no_lock_of_its_session() {
    let (app, _heard) = app();
    let client = Client::over_socket(app);
    client.get("/page2").send().assert_text("None");
    let mut socket = client.websocket("/mine");
    assert_eq!(socket.send("hello").text(), "hello");
    client.get("/page2").send().assert_text("Some(true)");
}

#[test]
fn the_end_of_a_session_ends_its_conversations() {
    for (client, heard) in clients(app) {
        let other = client.new_browser();
        let (mut socket, mut others) = (client.websocket("/mine"), other.websocket("/mine"));
        let before = client.cookie("session_id");
        client.get("/renew").send().assert_status(200);
        assert_ne!(client.cookie("session_id"), before);
        assert_eq!((socket.send("a").text(), others.send("b").text()), ("a".to_owned(), "b".to_owned()));
        client.get("/logout").send().assert_text("out");
        assert_eq!(socket.close_code(), Some(1008));
        assert_eq!(heard.end().reason, "the session has ended");
        assert_eq!(others.send("c").text(), "c");
    }
}

#[test]
fn a_session_that_ends_elsewhere_ends_its_conversations_at_the_next_ping() {
    let (app, heard) = app();
    let bounds = WebSockets::of_this_site().ping(Duration::from_millis(50));
    let app = app.tool("/mine", bounds);
    let client = Client::over_socket(app.config_str("[\"/mine\"]\nsessions.timeout = \"1s\""));
    let mut socket = client.websocket("/mine");
    assert_eq!(socket.send("a").text(), "a");
    assert_eq!(socket.close_code(), Some(1008));
    assert_eq!(heard.end().reason, "the session has ended");
}

#[cfg(feature = "file")]
#[test]
fn a_logout_in_another_process_ends_the_conversation_at_the_next_ping() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two tools over one store know as little of each other as two processes.
    let process = || {
        let sessions = Sessions::new(FileStore::new(folder.path()));
        let bounds = WebSockets::of_this_site().ping(Duration::from_millis(50));
        let (app, heard) = app_with(&sessions);
        (Client::over_socket(app.tool("/mine", bounds)), heard)
    };
    let ((here, heard), (elsewhere, _heard)) = (process(), process());
    let mut socket = here.websocket("/mine");
    assert_eq!(socket.send("a").text(), "a");
    elsewhere.set_cookie("session_id", &here.cookie("session_id").expect("a session"));
    elsewhere.get("/logout").send().assert_text("out");
    assert_eq!(socket.close_code(), Some(1008));
    assert_eq!(heard.end().reason, "the session has ended");
}
