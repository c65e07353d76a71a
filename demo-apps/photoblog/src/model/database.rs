//! The connections to the SQLite database: one that writes, and as many that read as there are readers at a time.
//!
//! One writer at a time is SQLite's own rule. Here the writers wait for each other in the process, in line, so that
//! none of them is told that the database is locked. Readers wait for nobody: the journal is a WAL.

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};
use std::{path::Path, path::PathBuf, time::Duration};

/// The steps to the tables of today. A step that was released never changes again.
const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/1-blog.sql"), include_str!("../../migrations/2-comments.sql")];

/// How long a writer waits for one of another process, such as a backup.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Readers that no request uses at the moment: at most as many as there are workers.
    idle: Mutex<Vec<Connection>>,
}

impl Database {
    /// Opens the database, or makes it.
    pub(crate) fn open(path: PathBuf) -> kirsch::Result<Self> {
        let mut writer = connect(&path)?;
        migrate(&mut writer)?;
        Ok(Self { path, writer: Mutex::new(writer), idle: Mutex::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lends a connection to `work`, which sees one state of the database, whatever is written meanwhile. One whose
    /// work panics is not used again.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> kirsch::Result<T>) -> kirsch::Result<T> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let snapshot = connection.transaction()?;
        let result = work(&snapshot);
        drop(snapshot);
        self.idle.lock().push(connection);
        result
    }

    /// Lends the writing connection to `work`: begin a transaction that keeps all of it or nothing.
    pub(crate) fn with_writer<T>(&self, work: impl FnOnce(&mut Connection) -> kirsch::Result<T>) -> kirsch::Result<T> {
        work(&mut self.writer.lock())
    }

    /// Keeps all that `work` does, or nothing if it fails.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> kirsch::Result<T>) -> kirsch::Result<T> {
        self.with_writer(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }
}

fn connect(path: &Path) -> kirsch::Result<Connection> {
    let connection = Connection::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Brings the tables up to date, all steps or none.
fn migrate(database: &mut Connection) -> kirsch::Result {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if done > MIGRATIONS.len() {
        return Err(kirsch::Error::unexpected("the database was made by a later version of this program"));
    }
    for (number, step) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number + 1)?;
    }
    Ok(transaction.commit()?)
}
