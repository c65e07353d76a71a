//! What readers say about a photo. Others see it once an author has approved it.

use super::moment;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

/// So many comments wait for an author at most. More are refused: a robot cannot fill the disk.
const MAX_WAITING: i64 = 500;
/// So many are shown on a page.
const MAX_SHOWN: u32 = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) photo: i64,
    pub(crate) photo_title: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) written: String,
}

const SELECT: &str = "SELECT comment.*, photo.title AS photo_title FROM comment JOIN photo ON photo.id = comment.photo";

impl Comment {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            photo: row.get("photo")?,
            photo_title: row.get("photo_title")?,
            name: row.get("name")?,
            text: row.get("text")?,
            written: row.get("written")?,
        })
    }

    /// Keeps a comment, and answers whether it was: not if too many wait already.
    pub(crate) fn add(
        database: &Connection,
        photo: i64,
        name: &str,
        text: &str,
        is_approved: bool,
    ) -> kirsch::Result<bool> {
        let rows = database.execute(
            "INSERT INTO comment (photo, name, text, written, approved) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE ?5 OR (SELECT count(*) FROM comment WHERE approved = 0) < ?6",
            params![photo, name, text, moment::now(), is_approved, MAX_WAITING],
        )?;
        Ok(rows == 1)
    }

    /// The comments on a photo that readers see, in the order in which they came.
    pub(crate) fn of_photo(database: &Connection, photo: i64) -> kirsch::Result<Vec<Self>> {
        let mut query = database
            .prepare_cached(&format!("{SELECT} WHERE photo = ? AND approved = 1 ORDER BY comment.id LIMIT ?"))?;
        let comments = query.query_map(params![photo, MAX_SHOWN], Self::of_row)?;
        Ok(comments.collect::<Result<_, _>>()?)
    }

    /// Those that wait for an author, the oldest first.
    pub(crate) fn waiting(database: &Connection) -> kirsch::Result<Vec<Self>> {
        let mut query = database.prepare_cached(&format!("{SELECT} WHERE approved = 0 ORDER BY comment.id LIMIT ?"))?;
        let comments = query.query_map([MAX_SHOWN], Self::of_row)?;
        Ok(comments.collect::<Result<_, _>>()?)
    }

    pub(crate) fn approve(database: &Connection, id: i64) -> kirsch::Result {
        database.execute("UPDATE comment SET approved = 1 WHERE id = ?", [id])?;
        Ok(())
    }

    pub(crate) fn remove(database: &Connection, id: i64) -> kirsch::Result {
        database.execute("DELETE FROM comment WHERE id = ?", [id])?;
        Ok(())
    }
}
