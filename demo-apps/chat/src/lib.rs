//! Rooms to talk in, by WebSocket at `/talk/{room}`: who is here, what was said before, with a login.
//!
//! A guest is a conversation: the server calls it with one message at a time. A room knows its guests and the last
//! things that were said. What one says goes to all by a `push::Room`, which makes it into bytes once.

use demo_apps::page;
use kirsch::exchange::RequestId;
use kirsch::prelude::*;
use kirsch::push;
use kirsch::tools::SessionAuth;
use kirsch::websocket::{Closed, Conversation, Message, Peer, SendError, Upgrade, Upgraded};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a room remembers.
const MAX_HISTORY: usize = 50;
/// More rooms are not opened.
const MAX_ROOMS: usize = 100;
/// The longest name of a room or a guest, and the longest text, in characters.
const MAX_NAME: usize = 30;
const MAX_TEXT: usize = 1000;

/// The application. Everybody is let in whose password is that of the demo: `kirsch`.
pub fn app() -> App {
    let members =
        SessionAuth::new(|name, password| password == "kirsch" && !name.is_empty() && name.chars().count() <= MAX_NAME);
    App::new(Chat::default()).tool("/", Sessions::in_memory()).tool("/", members)
}

#[derive(Default)]
struct Chat {
    rooms: Mutex<BTreeMap<String, Arc<Room>>>,
}

#[handlers]
impl Chat {
    #[expose]
    fn index(&self) -> Html<String> {
        Html(page(include_str!("chat.html")))
    }

    /// A guest comes into a room.
    #[expose]
    fn talk(&self, room: String, login: &Login, upgrade: Upgrade) -> kirsch::Result<Upgraded> {
        let guest = Guest { name: login.name().to_owned(), room: self.room(&room)?, id: None };
        Ok(upgrade.max_message(4 * MAX_TEXT).speak(guest))
    }
}

impl Chat {
    fn room(&self, name: &str) -> kirsch::Result<Arc<Room>> {
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(Error::not_found());
        }
        let mut rooms = locked(&self.rooms);
        if !rooms.contains_key(name) {
            rooms.retain(|_, room| !locked(&room.inside).guests.is_empty());
            if rooms.len() >= MAX_ROOMS {
                return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "There are too many rooms; join one of them."));
            }
        }
        Ok(rooms.entry(name.to_owned()).or_default().clone())
    }
}

#[derive(Default)]
struct Room {
    inside: Mutex<Inside>,
    air: push::Room,
}

#[derive(Default)]
struct Inside {
    guests: Vec<(String, RequestId)>,
    history: VecDeque<String>,
}

/// What the page is told, as JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum News<'n> {
    /// A guest has said something.
    Said { who: &'n str, text: &'n str },
    /// All who are here.
    Here { names: Vec<&'n str> },
}

impl News<'_> {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Room {
    fn enter(&self, name: &str, peer: &Peer) -> Result<(), SendError> {
        let mut inside = locked(&self.inside);
        inside.history.iter().try_for_each(|earlier| peer.send(earlier))?;
        self.air.join(peer);
        inside.guests.push((name.to_owned(), peer.id()));
        self.tell_who_is_here(&inside)
    }

    fn say(&self, who: &str, text: &str) -> Result<(), SendError> {
        let said = News::Said { who, text }.json();
        let mut inside = locked(&self.inside);
        // Under the lock, so that a newcomer hears it once: it waits for nobody.
        self.air.say(&said)?;
        inside.history.push_back(said);
        if inside.history.len() > MAX_HISTORY {
            inside.history.pop_front();
        }
        Ok(())
    }

    fn leave(&self, guest: RequestId) {
        let mut inside = locked(&self.inside);
        inside.guests.retain(|(_, id)| *id != guest);
        // The list fits, however many guests there are, or nobody is told.
        let _ = self.tell_who_is_here(&inside);
    }

    fn tell_who_is_here(&self, inside: &Inside) -> Result<(), SendError> {
        let mut names: Vec<_> = inside.guests.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.dedup();
        self.air.say(&News::Here { names }.json())
    }
}

/// One visitor in one room.
struct Guest {
    name: String,
    room: Arc<Room>,
    id: Option<RequestId>,
}

impl Conversation for Guest {
    fn opened(&mut self, peer: &Peer) -> kirsch::Result<()> {
        self.id = Some(peer.id());
        Ok(self.room.enter(&self.name, peer)?)
    }

    fn message(&mut self, message: Message<'_>, _: &Peer) -> kirsch::Result<()> {
        let text = message.text()?.trim();
        if text.chars().count() > MAX_TEXT {
            return Err(Error::new(StatusCode::BAD_REQUEST, "that is too long"));
        }
        if !text.is_empty() {
            self.room.say(&self.name, text)?;
        }
        Ok(())
    }

    fn closed(&mut self, _: &Closed) {
        if let Some(id) = self.id {
            self.room.leave(id);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
