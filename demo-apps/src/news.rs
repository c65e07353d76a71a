//! News that comes by itself: what one visitor publishes appears in every open tab, by an event stream or by long
//! polls. No worker waits for news. With a file the news outlives the program, so that tabs go on without a gap after a
//! restart; without one they are told of it.

use crate::page;
use kirsch::{
    escape,
    prelude::*,
    push::{Await, Changes, EventId, Events, LastEventId, Topic},
    status,
};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// How many events are kept, in memory and in the file.
const KEPT: usize = 256;
/// So many events are added to the file before it is written again with the last ones.
const ADDED: usize = 1_000;
/// The longest text, in bytes.
const LONGEST: u64 = 16 * 1024;

/// The application. With a file, the events are kept there.
///
/// # Errors
/// When the file cannot be read or written, in words for the command line.
pub fn app(file: Option<PathBuf>) -> Result<App, String> {
    let (topic, journal) = match file {
        None => (Topic::new("news"), None),
        Some(path) => {
            let problem = |error| format!("{}: {error}", path.display());
            let (topic, journal) = Journal::open(&path).map_err(problem)?;
            (topic, Some(journal))
        }
    };
    let site = News { topic: topic.clone(), journal: Arc::new(Mutex::new(journal)) };
    Ok(App::new(site)
        .settings("/", |settings| settings.max_body = LONGEST)
        .tool("/changes", Await::on(&topic).since("after"))
        .mount("/status", status::app().open().show(topic)))
}

struct News {
    topic: Topic<String>,
    /// Locked from the number of an event to its publication, so that the file has them in order.
    journal: Arc<Mutex<Option<Journal>>>,
}

#[handlers]
impl News {
    /// The page with the events so far, and the id from which its script goes on.
    #[expose]
    fn index(&self) -> Html<String> {
        let Changes { values, last, .. } = self.topic.changes(None);
        let mut items = String::new();
        for (id, text) in values.iter().rev().take(20) {
            // Writing to a String cannot fail.
            let _ = writeln!(items, "<li><small>{id}</small> {}</li>", escape(text));
        }
        Html(page(include_str!("news.html")).replace("{last}", &last.to_string()).replace("{items}", &items))
    }

    /// What was missed since the client's last event, then what comes. A script that follows on from a page says where
    /// by `after`, since it cannot set the field; the field of a browser that connects again counts more.
    #[expose]
    fn events(&self, last: LastEventId, after: Option<EventId>) -> Events {
        self.topic.events(if last == LastEventId::None { after.into() } else { last })
    }

    /// One event stream for all tabs of a browser.
    #[expose(name = "shared-events.js")]
    fn shared_events(&self, response: &mut Response) -> &'static str {
        response.default_content_type("text/javascript; charset=utf-8");
        include_str!("shared-events.js")
    }

    /// Publishes the body as an event, and answers its id.
    #[expose(post)]
    fn publish(&self, body: Bytes) -> kirsch::Result<Text<String>> {
        let text = String::from_utf8(body.0);
        let text = text.map_err(|_| Error::new(StatusCode::BAD_REQUEST, "the text must be UTF-8"))?;
        if text.trim().is_empty() {
            return Err(Error::new(StatusCode::BAD_REQUEST, "there is no text in the body"));
        }
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = &mut *journal {
            journal.add(self.topic.next_id(), &text, &self.topic)?;
        }
        let id = self.topic.publish(text);
        Ok(Text(format!("{id}\n")))
    }

    /// For programs that ask again and again: answers when there is something behind `after`, or after 25 s.
    #[expose]
    fn changes(&self, after: Option<EventId>) -> Json<ChangesAsJson> {
        let Changes { values, is_gap, last, .. } = self.topic.changes(after);
        let events = values.into_iter().map(|(id, text)| EventAsJson { id: id.to_string(), text }).collect();
        Json(ChangesAsJson { events, gap: is_gap, last: last.to_string() })
    }
}

#[derive(serde::Serialize)]
struct ChangesAsJson {
    events: Vec<EventAsJson>,
    gap: bool,
    /// What to ask for next time.
    last: String,
}

#[derive(serde::Serialize)]
struct EventAsJson {
    id: String,
    text: String,
}

/// The events in a file: the epoch of the topic, then a line for each event, with its number and its text.
struct Journal {
    path: PathBuf,
    file: File,
    added: usize,
}

impl Journal {
    /// Opens the journal and restores the topic, or begins both.
    fn open(path: &Path) -> std::io::Result<(Topic<String>, Self)> {
        let topic = match File::open(path) {
            Ok(file) => read(BufReader::new(file))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Topic::new("news"),
            Err(error) => return Err(error),
        };
        let file = write_again(path, &topic)?;
        Ok((topic, Self { path: path.to_owned(), file, added: 0 }))
    }

    fn add(&mut self, id: EventId, text: &str, topic: &Topic<String>) -> std::io::Result<()> {
        if self.added >= ADDED {
            self.file = write_again(&self.path, topic)?;
            self.added = 0;
        }
        self.added += 1;
        self.file.write_all(line(id, text).as_bytes())
    }
}

/// A text is one line: its line ends are escaped.
fn line(id: EventId, text: &str) -> String {
    format!("{} {}\n", id.number, text.escape_default())
}

fn read(mut file: impl BufRead) -> std::io::Result<Topic<String>> {
    let wrong = |problem| std::io::Error::new(std::io::ErrorKind::InvalidData, problem);
    let mut epoch = String::new();
    file.read_line(&mut epoch)?;
    let epoch = u64::from_str_radix(epoch.trim(), 16).map_err(|_| wrong("it is no file of this program"))?;
    let mut events = Vec::new();
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        // The last line may be torn, since the program was killed.
        let Some(whole) = line.strip_suffix('\n') else { break };
        let event = whole.split_once(' ').and_then(|(number, text)| Some((number.parse().ok()?, unescape(text)?)));
        events.push(event.ok_or_else(|| wrong("it has a line that is no event"))?);
        line.clear();
    }
    events.drain(..events.len().saturating_sub(KEPT));
    Ok(Topic::restored("news", epoch, events))
}

/// What `escape_default` was made of.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let hex: String = characters.by_ref().skip(1).take_while(|character| *character != '}').collect();
                    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?
                }
                other => other,
            },
            other => other,
        });
    }
    Some(out)
}

/// Writes the file with the events that the topic has, in the place of the one before at once.
fn write_again(path: &Path, topic: &Topic<String>) -> std::io::Result<File> {
    let mut text = format!("{:x}\n", topic.last_id().epoch);
    topic.changes(None).values.iter().for_each(|(id, event)| text.push_str(&line(*id, event)));
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_outlives_the_program() {
        let room = tempfile::tempdir().expect("room");
        let path = room.path().join("news");
        let texts = ["plain", "two\nlines\r\n", "\\n \"quoted\" 'x'", "\u{e4}\u{1f352} \u{0}"];
        let (topic, mut journal) = Journal::open(&path).expect("it is made");
        for text in texts {
            journal.add(topic.next_id(), text, &topic).expect("room");
            topic.publish(text.to_owned());
        }
        // A line that was torn by a kill.
        journal.file.write_all(b"5 \\u{1f3").expect("room");
        let (again, _) = Journal::open(&path).expect("it is there");
        assert_eq!(again.changes(None), topic.changes(None));
    }
}
