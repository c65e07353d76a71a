//! The thread of the folder: it reads what earlier processes have left, writes tickets and counts, and reads a ticket
//! for the status page.
//!
//! A file gets its name when it is whole, so that a process that is killed leaves no half of one. A file that is not a
//! ticket is left alone.

use super::index::FailureKind;
use super::{Known, MAX_TICKET, TARGET, Ticket};
use crate::exchange::RequestId;
use crate::line::record;
use crate::private_file;
use crossbeam_channel::{Receiver, Sender, select};
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How many files of the folder are looked at.
const MAX_FILES: usize = 4000;
/// Longest time between a failure and its count in the folder.
const SAVING: Duration = Duration::from_secs(1);
/// The counts of all kinds, by their keys.
const COUNTS: &str = "counts.json";

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Ask {
    Read(RequestId, Sender<io::Result<Value>>),
    Forget(RequestId, Sender<io::Result<()>>),
    /// Write all that has come, then answer.
    Flush(Sender<()>),
}

pub(super) struct Keeper {
    pub(super) folder: PathBuf,
    pub(super) tickets: Receiver<(u64, Ticket)>,
    pub(super) asks: Receiver<Ask>,
    pub(super) changes: Receiver<()>,
    pub(super) known: Arc<Known>,
}

impl Keeper {
    /// Until nobody can leave a ticket any more.
    pub(super) fn run(self) {
        if let Err(error) = self.look_into_folder() {
            record!(Error, target: TARGET, "the earlier tickets in {} cannot be read: {error}", self.folder.display());
        }
        let mut save_at: Option<Instant> = None;
        loop {
            let pause = save_at.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            select! {
                recv(self.tickets) -> ticket => match ticket {
                    Ok((key, ticket)) => self.write(key, ticket),
                    Err(_) => return self.save_counts(),
                },
                recv(self.asks) -> ask => match ask {
                    Ok(Ask::Read(number, answer)) => {
                        let _ = answer.try_send(read_object(&self.file(number)));
                    }
                    Ok(Ask::Forget(number, answer)) => {
                        self.save_counts();
                        let _ = answer.try_send(self.remove_one(number));
                    }
                    Ok(Ask::Flush(done)) => {
                        self.tickets.try_iter().for_each(|(key, ticket)| self.write(key, ticket));
                        self.save_counts();
                        save_at = None;
                        let _ = done.try_send(());
                    }
                    // The tickets end as well.
                    Err(_) => {}
                },
                recv(self.changes) -> _ => {
                    save_at.get_or_insert_with(|| Instant::now() + SAVING);
                }
                default(pause) => {}
            }
            if save_at.is_some_and(|at| at <= Instant::now()) {
                self.save_counts();
                save_at = None;
            }
        }
    }

    fn file(&self, number: RequestId) -> PathBuf {
        self.folder.join(format!("{number}.json"))
    }

    fn write(&self, key: u64, Ticket { number, time, message, text }: Ticket) {
        if self.known.index.lock().has(number) {
            // The request has failed once more, and its first failure is the one to look at.
            return self.known.index.lock().give_up(key);
        }
        let removed = match self.put(&format!("{number}.json"), text.as_bytes()) {
            Ok(()) => self.known.index.lock().written(key, number, time, message),
            Err(error) => {
                self.known.index.lock().give_up(key);
                self.known.lost.fetch_add(1, Ordering::Relaxed);
                return self.known.tell_missing(&format!("{}: {error}", self.folder.display()));
            }
        };
        self.remove(&removed);
    }

    fn remove(&self, numbers: &[RequestId]) {
        for number in numbers {
            if let Err(error) = self.remove_one(*number) {
                let file = self.file(*number);
                record!(Warn, target: TARGET, "an old ticket cannot be removed: {}: {error}", file.display());
            }
        }
    }

    fn remove_one(&self, number: RequestId) -> io::Result<()> {
        match fs::remove_file(self.file(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes a file, and gives it its name when it is whole.
    fn put(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let part = self.folder.join(format!("{name}.part"));
        let _ = fs::remove_file(&part);
        let written = private_file::create(&part)
            .and_then(|mut file| file.write_all(text))
            .and_then(|()| fs::rename(&part, self.folder.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn save_counts(&self) {
        let counts = self.known.index.lock().counts();
        if counts.is_empty() && !self.folder.join(COUNTS).exists() {
            return;
        }
        let counts: Map<_, _> = counts.into_iter().map(|(key, count)| (format!("{key:016x}"), count.into())).collect();
        if let Err(error) = self.put(COUNTS, Value::Object(counts).to_string().as_bytes()) {
            self.known.tell_missing(&format!("{}: {error}", self.folder.display()));
        }
    }

    /// Finds the tickets and counts of earlier processes.
    fn look_into_folder(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)?.take(MAX_FILES) {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let stem = name.strip_suffix(".part").unwrap_or(name).strip_suffix(".json");
            let Some(number) = stem.and_then(RequestId::parse) else { continue };
            if name.ends_with(".part") {
                let _ = fs::remove_file(self.folder.join(name));
            } else if let Ok(ticket) = read_object(&self.file(number)) {
                let text = |name: &str| ticket[name].as_str().unwrap_or_default().to_owned();
                let kind = FailureKind { error: text("error"), place: text("place"), route: text("route") };
                let message = ticket["causes"][0].as_str().unwrap_or_default().to_owned();
                self.known.index.lock().found(kind, message, text("time"), number);
            }
        }
        let counts = read_object(&self.folder.join(COUNTS)).unwrap_or_default();
        let counted = |key: u64| counts[format!("{key:016x}")].as_u64().unwrap_or_default();
        let removed = {
            let mut index = self.known.index.lock();
            index.add_counts(counted);
            index.trim()
        };
        self.remove(&removed);
        Ok(())
    }
}

/// Reads a JSON object that this user's programs have written.
fn read_object(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    private_file::open_own(path)?.take(MAX_TICKET as u64 + 1).read_to_end(&mut text)?;
    let value: Value = serde_json::from_slice(&text)?;
    if value.is_object() { Ok(value) } else { Err(io::ErrorKind::InvalidData.into()) }
}
