//! What readers see: published photos of published albums, whose pictures are made.

use super::{album::Album, photo::Photo};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde::Serialize;

/// The photos of a page.
pub(crate) const PAGE: u32 = 24;

/// Some photos, the page they are on, and whether another one follows.
#[derive(Debug, Serialize)]
pub(crate) struct Photos {
    pub(crate) photos: Vec<Photo>,
    pub(crate) page: u32,
    pub(crate) has_more: bool,
}

/// An album on the shelf.
#[derive(Debug, Serialize)]
pub(crate) struct Cover {
    #[serde(flatten)]
    pub(crate) album: Album,
    pub(crate) photos: i64,
    /// The file of its first photo.
    pub(crate) cover: Option<String>,
}

/// A name or a month, and how many photos are behind it.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) photos: i64,
}

/// The blog's own name, for identifiers.
pub(crate) fn name(database: &Connection) -> kirsch::Result<String> {
    Ok(database.prepare_cached("SELECT name FROM blog")?.query_row([], |row| row.get(0))?)
}

/// What readers see has changed if this has: a change moves the version of the blog, and time brings what was to be
/// published at a later moment.
pub(crate) fn edition(database: &Connection) -> kirsch::Result<String> {
    let mut query = database.prepare_cached(
        "WITH now (moment) AS (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) \
         SELECT version || '-' || coalesce((SELECT max(published) FROM photo WHERE published <= moment), '') \
         || '-' || coalesce((SELECT max(published) FROM album WHERE published <= moment), '') FROM blog, now",
    )?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// The latest photos.
pub(crate) fn latest(database: &Connection, page: u32) -> kirsch::Result<Photos> {
    select(database, "", &[], page)
}

/// The latest photos with a tag.
pub(crate) fn tagged(database: &Connection, tag: &str, page: u32) -> kirsch::Result<Photos> {
    select(database, "WHERE id IN (SELECT photo FROM tag WHERE name = ?)", &[&tag], page)
}

/// The latest photos of an album.
pub(crate) fn of_album(database: &Connection, album: i64, page: u32) -> kirsch::Result<Photos> {
    select(database, "WHERE album = ?", &[&album], page)
}

/// The photos of a month such as `2026-11`.
pub(crate) fn of_month(database: &Connection, month: &str, page: u32) -> kirsch::Result<Photos> {
    select(database, "WHERE substr(published, 1, 7) = ?", &[&month], page)
}

/// The photos in whose title, caption or tags all words stand, or words that begin so.
pub(crate) fn found(database: &Connection, text: &str, page: u32) -> kirsch::Result<Photos> {
    // In quotes, nothing that a visitor types is an operator of the search.
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).take(12);
    let query: Vec<_> = words.map(|word| format!("\"{word}\"*")).collect();
    if query.is_empty() {
        return Ok(Photos { photos: Vec::new(), page: 1, has_more: false });
    }
    let query = query.join(" ");
    select(database, "WHERE id IN (SELECT rowid FROM photo_text WHERE photo_text MATCH ?)", &[&query], page)
}

fn select(database: &Connection, condition: &str, values: &[&dyn ToSql], page: u32) -> kirsch::Result<Photos> {
    let page = page.max(1);
    let start = (page - 1).saturating_mul(PAGE);
    let most = PAGE + 1;
    let mut query = database.prepare_cached(&format!(
        "SELECT * FROM visible {condition} ORDER BY published DESC, id DESC LIMIT ? OFFSET ?"
    ))?;
    let values: Vec<&dyn ToSql> = values.iter().copied().chain([&most as &dyn ToSql, &start]).collect();
    let photos = query.query_map(&*values, Photo::of_row)?;
    let mut photos: Vec<_> = photos.collect::<Result<_, _>>()?;
    let has_more = photos.len() > PAGE as usize;
    photos.truncate(PAGE as usize);
    Ok(Photos { photos, page, has_more })
}

/// The albums, the latest first, with their covers.
pub(crate) fn albums(database: &Connection) -> kirsch::Result<Vec<Cover>> {
    let mut query = database.prepare_cached(
        "SELECT visible_album.*, (SELECT count(*) FROM visible WHERE album = visible_album.id) AS photos, \
         (SELECT file FROM visible WHERE album = visible_album.id ORDER BY position, id LIMIT 1) AS cover \
         FROM visible_album ORDER BY published DESC, id DESC",
    )?;
    let covers = query.query_map([], |row| {
        Ok(Cover { album: Album::of_row(row)?, photos: row.get("photos")?, cover: row.get("cover")? })
    })?;
    Ok(covers.collect::<Result<_, _>>()?)
}

/// The album behind a slug.
pub(crate) fn album(database: &Connection, slug: &str) -> kirsch::Result<Option<Album>> {
    let mut query = database.prepare_cached("SELECT * FROM visible_album WHERE slug = ?")?;
    Ok(query.query_row([slug], Album::of_row).optional()?)
}

/// The photos of an album in their order.
pub(crate) fn photos_of(database: &Connection, album: i64) -> kirsch::Result<Vec<Photo>> {
    let mut query =
        database.prepare_cached("SELECT * FROM visible WHERE album = ? ORDER BY position, id LIMIT 1000")?;
    let photos = query.query_map([album], Photo::of_row)?;
    Ok(photos.collect::<Result<_, _>>()?)
}

pub(crate) fn photo(database: &Connection, id: i64) -> kirsch::Result<Option<Photo>> {
    let mut query = database.prepare_cached("SELECT * FROM visible WHERE id = ?")?;
    Ok(query.query_row([id], Photo::of_row).optional()?)
}

/// The numbers of the photos before and after this one in its album.
pub(crate) fn neighbours(database: &Connection, photo: &Photo) -> kirsch::Result<(Option<i64>, Option<i64>)> {
    let neighbour = |sql: &str| -> kirsch::Result<Option<i64>> {
        let mut query = database.prepare_cached(sql)?;
        Ok(query.query_row(params![photo.album, photo.id], |row| row.get(0)).optional()?)
    };
    Ok((
        neighbour(
            "SELECT id FROM visible WHERE album = ?1 AND (position, id) < (SELECT position, id FROM photo WHERE id = ?2) \
             ORDER BY position DESC, id DESC LIMIT 1",
        )?,
        neighbour(
            "SELECT id FROM visible WHERE album = ?1 AND (position, id) > (SELECT position, id FROM photo WHERE id = ?2) \
             ORDER BY position, id LIMIT 1",
        )?,
    ))
}

/// All tags by name.
pub(crate) fn tags(database: &Connection) -> kirsch::Result<Vec<Counted>> {
    counted(
        database,
        "SELECT tag.name, count(*) FROM tag JOIN visible ON visible.id = tag.photo GROUP BY tag.name ORDER BY tag.name",
    )
}

/// All months that have photos, the latest first.
pub(crate) fn months(database: &Connection) -> kirsch::Result<Vec<Counted>> {
    counted(
        database,
        "SELECT substr(published, 1, 7) AS month, count(*) FROM visible GROUP BY month ORDER BY month DESC",
    )
}

fn counted(database: &Connection, sql: &str) -> kirsch::Result<Vec<Counted>> {
    let mut query = database.prepare_cached(sql)?;
    let rows = query.query_map([], |row| Ok(Counted { name: row.get(0)?, photos: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
