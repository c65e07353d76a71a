//! Photos: the row of each, and how the author changes it. The files are in `pictures`.

use super::{Changed, moment, names};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Photo {
    pub(crate) id: i64,
    pub(crate) album: i64,
    pub(crate) album_slug: String,
    pub(crate) album_title: String,
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) tags: Vec<String>,
    pub(crate) author: String,
    /// Its pictures are `{file}-{width}.jpg`.
    pub(crate) file: String,
    pub(crate) media_type: String,
    pub(crate) bytes: i64,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    /// `waiting` for its pictures, `ready`, or `failed`.
    pub(crate) state: String,
    /// The job that makes the pictures.
    pub(crate) job: Option<String>,
    /// `None` for a draft.
    pub(crate) published: Option<String>,
    pub(crate) edited: String,
    pub(crate) deleted: Option<String>,
    pub(crate) version: i64,
    #[serde(skip)]
    pub(crate) foreign_elements: String,
}

/// A photo that has just come.
pub(crate) struct NewPhoto<'n> {
    pub(crate) album: i64,
    pub(crate) title: &'n str,
    pub(crate) author: &'n str,
    pub(crate) file: &'n str,
    pub(crate) media_type: &'n str,
    pub(crate) bytes: u64,
    pub(crate) published: Option<&'n str>,
}

/// What the author decides about a photo.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhotoText {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) tags: Vec<String>,
    pub(crate) published: Option<String>,
    /// `None` leaves them as they are.
    pub(crate) foreign_elements: Option<String>,
}

impl Photo {
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let tags: String = row.get("tags")?;
        Ok(Self {
            id: row.get("id")?,
            album: row.get("album")?,
            album_slug: row.get("album_slug")?,
            album_title: row.get("album_title")?,
            title: row.get("title")?,
            caption: row.get("caption")?,
            tags: names::tags(&tags),
            author: row.get("author")?,
            file: row.get("file")?,
            media_type: row.get("media_type")?,
            bytes: row.get("bytes")?,
            width: row.get("width")?,
            height: row.get("height")?,
            state: row.get("state")?,
            job: row.get("job")?,
            published: row.get("published")?,
            edited: row.get("edited")?,
            deleted: row.get("deleted")?,
            version: row.get("version")?,
            foreign_elements: row.get("foreign_elements")?,
        })
    }

    /// Adds a photo at the end of its album, and returns its number.
    pub(crate) fn add(database: &Connection, new: &NewPhoto<'_>) -> kirsch::Result<i64> {
        database.execute(
            "INSERT INTO photo (album, title, author, file, media_type, bytes, position, published, created, edited) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
             (SELECT coalesce(max(position), 0) + 1 FROM photo WHERE album = ?1), ?7, ?8, ?8)",
            params![
                new.album,
                new.title,
                new.author,
                new.file,
                new.media_type,
                i64::try_from(new.bytes)?,
                new.published,
                moment::now_exactly()
            ],
        )?;
        Ok(database.last_insert_rowid())
    }

    /// Notes the job that makes the pictures.
    pub(crate) fn awaits(database: &Connection, id: i64, job: &str) -> kirsch::Result {
        database.execute("UPDATE photo SET job = ?2 WHERE id = ?1", params![id, job])?;
        Ok(())
    }

    /// The pictures of this file are there, in this size; or they cannot be made, without a size.
    pub(crate) fn pictured(database: &Connection, file: &str, size: Option<(u32, u32)>) -> kirsch::Result {
        let state = if size.is_some() { "ready" } else { "failed" };
        database.execute(
            "UPDATE photo SET state = ?2, width = ?3, height = ?4 WHERE file = ?1",
            params![file, state, size.map(|(width, _)| width), size.map(|(_, height)| height)],
        )?;
        Ok(())
    }

    /// Another file in its place: the pictures are to be made.
    pub(crate) fn replace(
        database: &Connection,
        id: i64,
        version: i64,
        file: &str,
        media_type: &str,
        bytes: u64,
    ) -> kirsch::Result<Changed> {
        let rows = database.execute(
            "UPDATE photo SET file = ?3, media_type = ?4, bytes = ?5, state = 'waiting', edited = ?6, \
             version = version + 1 WHERE id = ?1 AND version = ?2 AND deleted IS NULL",
            params![id, version, file, media_type, i64::try_from(bytes)?, moment::now_exactly()],
        )?;
        Ok(Changed::by(rows))
    }

    /// Changes the photo if it is still at `version`.
    pub(crate) fn edit(database: &Connection, id: i64, version: i64, text: &PhotoText) -> kirsch::Result<Changed> {
        let rows = database.execute(
            "UPDATE photo SET title = ?3, caption = ?4, published = ?5, edited = ?6, version = version + 1, \
             foreign_elements = coalesce(?7, foreign_elements) WHERE id = ?1 AND version = ?2 AND deleted IS NULL",
            params![
                id,
                version,
                text.title,
                text.caption,
                text.published,
                moment::now_exactly(),
                text.foreign_elements
            ],
        )?;
        if rows == 1 {
            database.execute("DELETE FROM tag WHERE photo = ?", [id])?;
            for tag in &text.tags {
                database.execute("INSERT INTO tag (photo, name) VALUES (?, ?)", params![id, tag])?;
            }
        }
        Ok(Changed::by(rows))
    }

    /// Moves the photo one place towards the beginning of its album, or towards its end.
    pub(crate) fn shift(database: &Connection, id: i64, is_earlier: bool) -> kirsch::Result {
        let mut query = database.prepare_cached(
            "SELECT id FROM photo WHERE album = (SELECT album FROM photo WHERE id = ?) AND deleted IS NULL \
             ORDER BY position, id",
        )?;
        let mut order: Vec<i64> = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let Some(place) = order.iter().position(|photo| *photo == id) else { return Ok(()) };
        let other =
            if is_earlier { place.checked_sub(1) } else { Some(place + 1).filter(|other| *other < order.len()) };
        if let Some(other) = other {
            order.swap(place, other);
        }
        for (position, photo) in order.iter().enumerate() {
            let position = i64::try_from(position)? + 1;
            database
                .execute("UPDATE photo SET position = ?2 WHERE id = ?1 AND position <> ?2", params![photo, position])?;
        }
        Ok(())
    }

    /// Throws the photo away, if it is still at `version`; `None` is any version. Done twice it is done.
    pub(crate) fn throw_away(database: &Connection, id: i64, version: Option<i64>) -> kirsch::Result<Changed> {
        let rows = database.execute(
            "UPDATE photo SET deleted = coalesce(deleted, ?3), version = version + 1 \
             WHERE id = ?1 AND (?2 IS NULL OR version = ?2)",
            params![id, version, moment::now()],
        )?;
        Ok(Changed::by(rows))
    }

    /// Takes the photo back.
    pub(crate) fn take_back(database: &Connection, id: i64) -> kirsch::Result {
        database.execute(
            "UPDATE photo SET deleted = NULL, version = version + 1 WHERE id = ? AND deleted IS NOT NULL",
            [id],
        )?;
        Ok(())
    }

    /// Forgets the photos that were thrown away before `moment`.
    pub(crate) fn sweep(database: &Connection, moment: &str) -> kirsch::Result<usize> {
        Ok(database.execute("DELETE FROM photo WHERE deleted < ?", [moment])?)
    }

    /// The photo of this number, a draft too, and one that can still be taken back.
    pub(crate) fn find(database: &Connection, id: i64) -> kirsch::Result<Option<Self>> {
        let mut query = database.prepare_cached("SELECT * FROM every_photo WHERE id = ?")?;
        Ok(query.query_row([id], Self::of_row).optional()?)
    }

    /// All photos of an album in their order, drafts too.
    pub(crate) fn all_of(database: &Connection, album: i64) -> kirsch::Result<Vec<Self>> {
        let mut query = database
            .prepare_cached("SELECT * FROM every_photo WHERE album = ? AND deleted IS NULL ORDER BY position, id")?;
        let photos = query.query_map([album], Self::of_row)?;
        Ok(photos.collect::<Result<_, _>>()?)
    }

    /// Those that were thrown away and can be taken back.
    pub(crate) fn deleted(database: &Connection) -> kirsch::Result<Vec<Self>> {
        let mut query = database
            .prepare_cached("SELECT * FROM every_photo WHERE deleted IS NOT NULL ORDER BY deleted DESC LIMIT 50")?;
        let photos = query.query_map([], Self::of_row)?;
        Ok(photos.collect::<Result<_, _>>()?)
    }

    /// Some photos of an album, those first that were edited last, and whether more follow.
    pub(crate) fn edited(
        database: &Connection,
        album: i64,
        with_drafts: bool,
        page: u32,
        length: u32,
    ) -> kirsch::Result<(Vec<Self>, bool)> {
        let condition = if with_drafts { "every_photo WHERE deleted IS NULL AND" } else { "visible WHERE" };
        let mut query = database.prepare_cached(&format!(
            "SELECT * FROM {condition} album = ? ORDER BY edited DESC, id DESC LIMIT ? OFFSET ?"
        ))?;
        let start = page.saturating_sub(1).saturating_mul(length);
        let photos = query.query_map(params![album, length + 1, start], Self::of_row)?;
        let mut photos: Vec<_> = photos.collect::<Result<_, _>>()?;
        let has_more = photos.len() > length as usize;
        photos.truncate(length as usize);
        Ok((photos, has_more))
    }

    /// Whether any photo has this file.
    pub(crate) fn is_used(database: &Connection, file: &str) -> kirsch::Result<bool> {
        Ok(database.prepare_cached("SELECT 1 FROM photo WHERE file = ?")?.exists([file])?)
    }
}
