//! The notes, in an SQLite database.

use kirsch::Fields;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The steps to the tables of today. A database of an older program takes those that it lacks; a step that was released
/// never changes again.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/1-notes.sql")];

/// How many notes a page shows.
const SHOWN: i64 = 100;

/// How long a statement waits for other writers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What somebody writes, with the rules for it.
#[derive(Debug, Fields, Serialize)]
pub(crate) struct Text {
    #[field(length = 1..=80)]
    title: String,
    #[field(length = 1..=2000)]
    text: String,
}

/// A note that is kept.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) id: i64,
    #[serde(flatten)]
    text: Text,
    pub(crate) author: String,
}

/// All notes.
pub(crate) struct Notes {
    path: PathBuf,
    /// Connections that no request uses at the moment: at most as many as there are workers.
    idle: Mutex<Vec<Connection>>,
}

impl Notes {
    /// Opens the database, or makes it.
    pub(crate) fn open(path: PathBuf) -> kirsch::Result<Self> {
        let notes = Self {
            path,
            idle: Mutex::default(),
        };
        notes.with(migrate)?;
        Ok(notes)
    }

    pub(crate) fn newest(&self) -> kirsch::Result<Vec<Note>> {
        self.with(|database| {
            let mut query =
                database.prepare_cached("SELECT * FROM notes ORDER BY id DESC LIMIT ?")?;
            let notes = query.query_map([SHOWN], note)?.collect::<Result<_, _>>()?;
            Ok(notes)
        })
    }

    pub(crate) fn find(&self, id: i64) -> kirsch::Result<Option<Note>> {
        self.with(|database| {
            let mut query = database.prepare_cached("SELECT * FROM notes WHERE id = ?")?;
            Ok(query.query_row([id], note).optional()?)
        })
    }

    pub(crate) fn add(&self, new: &Text, author: &str) -> kirsch::Result {
        self.with(|database| {
            let mut insert = database
                .prepare_cached("INSERT INTO notes (title, text, author) VALUES (?, ?, ?)")?;
            insert.execute([&new.title, &new.text, author])?;
            Ok(())
        })
    }

    pub(crate) fn remove(&self, id: i64) -> kirsch::Result {
        self.with(|database| {
            database.execute("DELETE FROM notes WHERE id = ?", [id])?;
            Ok(())
        })
    }

    /// Lends a connection to `work`. One whose work panics is not used again.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> kirsch::Result<T>,
    ) -> kirsch::Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut connection = match taken {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let result = work(&mut connection);
        idle().push(connection);
        result
    }

    fn connect(&self) -> kirsch::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(PATIENCE)?;
        // Readers do not wait for writers.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(connection)
    }
}

/// Brings the tables up to date, all steps or none.
fn migrate(database: &mut Connection) -> kirsch::Result {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, step) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number + 1)?;
    }
    Ok(transaction.commit()?)
}

fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    let text = Text {
        title: row.get("title")?,
        text: row.get("text")?,
    };
    Ok(Note {
        id: row.get("id")?,
        text,
        author: row.get("author")?,
    })
}
