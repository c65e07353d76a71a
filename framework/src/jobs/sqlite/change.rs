//! Jobs that are enqueued in a transaction of the application.

use super::SqliteQueue;
use crate::Result;
use crate::exchange::Error;
use crate::jobs::queue::NewJob;
use crate::jobs::{Job, JobId, Jobs};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::ops::Deref;

impl Jobs {
    /// Changes the application's own tables and enqueues jobs, all or nothing: in one transaction on `connection`,
    /// which must be one to the same database. The threads of the jobs look when it is committed.
    ///
    /// ```
    /// use kirsch::jobs::{Job, Jobs, Work};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Thumbnails { photo: i64 }
    ///
    /// impl Job for Thumbnails {
    ///     const NAME: &str = "thumbnails";
    ///     type State = ();
    ///     fn run(&self, _: &(), _: &Work) -> kirsch::Result { Ok(()) }
    /// }
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("gallery.sqlite");
    /// let jobs = Jobs::sqlite(&path).register::<Thumbnails>(());
    /// let mut connection = rusqlite::Connection::open(&path)?;
    /// connection.execute("CREATE TABLE photo (id INTEGER PRIMARY KEY, name TEXT)", [])?;
    /// let job = jobs.transaction(&mut connection, |change| {
    ///     change.execute("INSERT INTO photo (name) VALUES ('cherries')", [])?;
    ///     change.enqueue(&Thumbnails { photo: change.last_insert_rowid() })
    /// })?;
    /// assert!(jobs.status(job)?.is_some());
    /// # Ok::<_, kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// The closure's own, after which nothing has changed, and those of the database. Also when the jobs are not in
    /// SQLite.
    pub fn transaction<T>(&self, connection: &mut Connection, run: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
        let Some(queue) = self.core.queue_of::<SqliteQueue>() else {
            return Err(Error::unexpected("these jobs are not in SQLite, so no transaction of it holds them"));
        };
        // Makes the tables, if they are not there.
        drop(queue.links.open().map_err(|error| self.core.unavailable(error))?);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let change = Change { jobs: self, queue, transaction };
        let result = run(&change)?;
        change.transaction.commit()?;
        self.ring();
        Ok(result)
    }
}

/// A transaction of the application's own database in which jobs are enqueued, too: see [`Jobs::transaction`]. It is
/// also the `rusqlite::Transaction`.
#[derive(Debug)]
pub struct Change<'c> {
    jobs: &'c Jobs,
    queue: &'c SqliteQueue,
    transaction: Transaction<'c>,
}

impl Change<'_> {
    /// Enqueues a job when the transaction is committed, and never if it is not.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub fn enqueue<J: Job>(&self, job: &J) -> Result<JobId> {
        let enqueue = |new: &NewJob<'_>| self.queue.enqueue_on(&self.transaction, new);
        self.jobs.prepare(job).enqueue_by(|new| enqueue(new).map_err(|error| self.jobs.core.unavailable(error)))
    }
}

impl<'c> Deref for Change<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        &self.transaction
    }
}
