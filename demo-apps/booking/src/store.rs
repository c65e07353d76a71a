//! The bookings in an SQLite database, and their attachments in a folder beside it.

use crate::booking::{Attendee, Booking, NewBooking};
use chrono::Local;
use kirsch::{Upload, prelude::File};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, Row, TransactionBehavior, params};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The steps to the tables of today. A database that was left behind by an older program takes those that it lacks; a
/// step that was released never changes again.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/1-bookings.sql"), include_str!("../migrations/2-attachments.sql")];

/// How long a statement waits for other writers.
const PATIENCE: Duration = Duration::from_secs(5);

/// All bookings.
pub(crate) struct Store {
    database: PathBuf,
    attachments: PathBuf,
    /// Connections that no request uses at the moment: at most as many as there are workers.
    idle: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the database, or makes it.
    pub(crate) fn open(folder: &Path) -> kirsch::Result<Self> {
        let attachments = folder.join("attachments");
        fs::create_dir_all(&attachments).map_err(|error| format!("{}: {error}", attachments.display()))?;
        let store = Self { database: folder.join("bookings.sqlite"), attachments, idle: Mutex::default() };
        store.with(migrate)?;
        Ok(store)
    }

    /// Today's bookings and those to come.
    pub(crate) fn upcoming(&self) -> kirsch::Result<Vec<Booking>> {
        self.with(|database| {
            let mut query = database.prepare("SELECT * FROM bookings WHERE day >= ? ORDER BY day, room")?;
            let mut rows = query.query([Local::now().date_naive().to_string()])?;
            let mut bookings = Vec::new();
            while let Some(row) = rows.next()? {
                bookings.push(booking(database, row)?);
            }
            Ok(bookings)
        })
    }

    /// The booking of this number.
    pub(crate) fn find(&self, id: i64) -> kirsch::Result<Option<Booking>> {
        self.with(|database| {
            let mut query = database.prepare("SELECT * FROM bookings WHERE id = ?")?;
            let mut rows = query.query([id])?;
            rows.next()?.map(|row| booking(database, row)).transpose()
        })
    }

    /// Books a room; `None` if it is taken on that day.
    pub(crate) fn add(&self, new: &NewBooking, by: &str, attachment: Option<&Upload>) -> kirsch::Result<Option<i64>> {
        let file_name = attachment.map(|file| file.file_name().unwrap_or("attachment"));
        self.with(|database| {
            // Dropped without `commit`, as by each `?` below, a transaction leaves nothing behind.
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let inserted = transaction.execute(
                "INSERT INTO bookings (title, room, day, seats, remark, catering, booked_by, attachment) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![new.title, new.room, new.day.to_string(), new.seats, new.remark, new.catering, by, file_name],
            );
            match inserted {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => return Ok(None),
                inserted => inserted?,
            };
            let id = transaction.last_insert_rowid();
            for Attendee { name, email } in &new.attendees {
                transaction.execute("INSERT INTO attendees VALUES (?, ?, ?)", params![id, name, email])?;
            }
            if let Some(file) = attachment {
                file.persist_replacing(self.attachment(id))?;
            }
            transaction.commit()?;
            Ok(Some(id))
        })
    }

    /// Forgets a booking and its attachment. One that is gone already is no failure.
    pub(crate) fn remove(&self, id: i64) -> kirsch::Result {
        self.with(|database| Ok(database.execute("DELETE FROM bookings WHERE id = ?", [id])?))?;
        match fs::remove_file(self.attachment(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The attached file of a booking.
    pub(crate) fn open_attachment(&self, id: i64) -> kirsch::Result<File> {
        File::open(self.attachment(id))
    }

    fn attachment(&self, id: i64) -> PathBuf {
        self.attachments.join(id.to_string())
    }

    /// Lends a connection to `work`. One whose work panics is not used again.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> kirsch::Result<T>) -> kirsch::Result<T> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let result = work(&mut connection);
        self.idle.lock().push(connection);
        result
    }

    fn connect(&self) -> kirsch::Result<Connection> {
        let connection = Connection::open(&self.database)?;
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

/// The booking of a row, with its attendees.
fn booking(database: &Connection, row: &Row<'_>) -> kirsch::Result<Booking> {
    let id = row.get("id")?;
    let mut attendees = database.prepare("SELECT name, email FROM attendees WHERE booking = ? ORDER BY rowid")?;
    let attendees = attendees.query_map([id], |row| Ok(Attendee { name: row.get(0)?, email: row.get(1)? }))?;
    let details = NewBooking {
        title: row.get("title")?,
        room: row.get("room")?,
        day: row.get::<_, String>("day")?.parse()?,
        seats: row.get("seats")?,
        attendees: attendees.collect::<Result<_, _>>()?,
        remark: row.get("remark")?,
        catering: row.get("catering")?,
    };
    Ok(Booking { id, details, booked_by: row.get("booked_by")?, attachment: row.get("attachment")? })
}
