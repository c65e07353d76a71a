//! Albums: a title, a story, and photos in an order.

use super::{Changed, moment, names};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Album {
    pub(crate) id: i64,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) story: String,
    pub(crate) author: String,
    /// `None` for a draft.
    pub(crate) published: Option<String>,
    pub(crate) edited: String,
    pub(crate) version: i64,
    #[serde(skip)]
    pub(crate) foreign_elements: String,
}

/// What the author decides about an album.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlbumText {
    pub(crate) title: String,
    pub(crate) story: String,
    pub(crate) published: Option<String>,
    /// `None` leaves them as they are.
    pub(crate) foreign_elements: Option<String>,
}

impl Album {
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            slug: row.get("slug")?,
            title: row.get("title")?,
            story: row.get("story")?,
            author: row.get("author")?,
            published: row.get("published")?,
            edited: row.get("edited")?,
            version: row.get("version")?,
            foreign_elements: row.get("foreign_elements")?,
        })
    }

    /// Makes an album under a slug that is free, and returns its number.
    pub(crate) fn add(database: &Connection, slug: &str, text: &AlbumText, author: &str) -> kirsch::Result<i64> {
        let wanted = names::slug(slug);
        let mut slug = wanted.clone();
        let mut taken = database.prepare_cached("SELECT 1 FROM album WHERE slug = ?")?;
        for number in 2.. {
            if !taken.exists([&slug])? {
                break;
            }
            slug = format!("{wanted}-{number}");
        }
        database.execute(
            "INSERT INTO album (slug, title, story, author, published, created, edited, foreign_elements) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
            params![
                slug,
                text.title,
                text.story,
                author,
                text.published,
                moment::now_exactly(),
                text.foreign_elements.as_deref().unwrap_or_default()
            ],
        )?;
        Ok(database.last_insert_rowid())
    }

    /// Changes the album if it is still at `version`.
    pub(crate) fn edit(database: &Connection, id: i64, version: i64, text: &AlbumText) -> kirsch::Result<Changed> {
        let rows = database.execute(
            "UPDATE album SET title = ?3, story = ?4, published = ?5, edited = ?6, version = version + 1, \
             foreign_elements = coalesce(?7, foreign_elements) WHERE id = ?1 AND version = ?2",
            params![id, version, text.title, text.story, text.published, moment::now_exactly(), text.foreign_elements],
        )?;
        Ok(Changed::by(rows))
    }

    /// Forgets the album with its photos, if it is still at `version`.
    pub(crate) fn remove(database: &Connection, id: i64, version: i64) -> kirsch::Result<Changed> {
        Ok(Changed::by(database.execute("DELETE FROM album WHERE id = ? AND version = ?", [id, version])?))
    }

    /// Forgets an album that has no photos; those that were thrown away go with it.
    pub(crate) fn remove_empty(database: &Connection, id: i64) -> kirsch::Result<Changed> {
        Ok(Changed::by(database.execute(
            "DELETE FROM album WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM photo WHERE album = ?1 AND deleted IS NULL)",
            [id],
        )?))
    }

    /// The album of this number, a draft too.
    pub(crate) fn find(database: &Connection, id: i64) -> kirsch::Result<Option<Self>> {
        let mut query = database.prepare_cached("SELECT * FROM album WHERE id = ?")?;
        Ok(query.query_row([id], Self::of_row).optional()?)
    }

    /// All albums, drafts too, those first that were edited last.
    pub(crate) fn all(database: &Connection) -> kirsch::Result<Vec<Self>> {
        let mut query = database.prepare_cached("SELECT * FROM album ORDER BY edited DESC, id DESC")?;
        let albums = query.query_map([], Self::of_row)?;
        Ok(albums.collect::<Result<_, _>>()?)
    }

    /// Some of them, and whether more follow.
    pub(crate) fn edited(
        database: &Connection,
        with_drafts: bool,
        page: u32,
        length: u32,
    ) -> kirsch::Result<(Vec<Self>, bool)> {
        let table = if with_drafts { "album" } else { "visible_album" };
        let mut query = database
            .prepare_cached(&format!("SELECT * FROM {table} ORDER BY edited DESC, id DESC LIMIT ? OFFSET ?"))?;
        let albums = query.query_map([length + 1, page.saturating_sub(1).saturating_mul(length)], Self::of_row)?;
        let mut albums: Vec<_> = albums.collect::<Result<_, _>>()?;
        let has_more = albums.len() > length as usize;
        albums.truncate(length as usize);
        Ok((albums, has_more))
    }
}
