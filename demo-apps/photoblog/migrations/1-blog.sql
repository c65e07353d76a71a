-- The blog as a whole: its version moves with each change of anything, so a tag of a page or a feed needs one number.
-- The name is in the identifiers of all entries: they stay when the site moves.
CREATE TABLE blog (version INTEGER NOT NULL, name TEXT NOT NULL) STRICT;
INSERT INTO blog VALUES (1, lower(hex(randomblob(8))));

-- Moments are texts such as 2026-11-30T20:15:00Z, which sort as they follow each other.
CREATE TABLE album (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    story TEXT NOT NULL,
    author TEXT NOT NULL,
    -- From when on readers see it; NULL for a draft.
    published TEXT,
    created TEXT NOT NULL,
    edited TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    -- Elements that an Atom client has sent and that we do not know: they are given back.
    foreign_elements TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE photo (
    id INTEGER PRIMARY KEY,
    album INTEGER NOT NULL REFERENCES album ON DELETE CASCADE,
    title TEXT NOT NULL,
    caption TEXT NOT NULL DEFAULT '',
    author TEXT NOT NULL,
    -- The SHA-256 of the original: its name in the folder of originals, and how those of its pictures begin.
    file TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    -- Of the picture as it is shown, turned upright. NULL until the job has made the pictures.
    width INTEGER,
    height INTEGER,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'ready', 'failed')),
    job TEXT,
    position INTEGER NOT NULL,
    published TEXT,
    created TEXT NOT NULL,
    edited TEXT NOT NULL,
    -- When it was thrown away; it can come back for ten minutes.
    deleted TEXT,
    version INTEGER NOT NULL DEFAULT 1,
    foreign_elements TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX photo_of_album ON photo (album, position, id);
-- Readers see how many photos an album has: they are counted in this index alone.
CREATE INDEX photo_that_is_ready ON photo (album, position, id, published) WHERE deleted IS NULL AND state = 'ready';
CREATE INDEX photo_by_time ON photo (published DESC, id DESC);
CREATE INDEX photo_by_edit ON photo (album, edited DESC, id DESC);
CREATE INDEX photo_by_file ON photo (file);

CREATE TABLE tag (
    photo INTEGER NOT NULL REFERENCES photo ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (name, photo)
) STRICT, WITHOUT ROWID;

CREATE INDEX tag_of_photo ON tag (photo, name);

CREATE VIEW every_photo AS
SELECT photo.*, album.slug AS album_slug, album.title AS album_title, album.published AS album_published,
    coalesce((SELECT group_concat(name, ' ') FROM tag WHERE tag.photo = photo.id), '') AS tags
FROM photo JOIN album ON album.id = photo.album;

-- What readers see.
CREATE VIEW visible AS
SELECT * FROM every_photo
WHERE deleted IS NULL AND state = 'ready' AND published <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
    AND album_published <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now');

CREATE VIEW visible_album AS
SELECT * FROM album WHERE published <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now');

-- The words of photos, without regard to accents.
CREATE VIRTUAL TABLE photo_text USING fts5(title, caption, tags, tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER photo_comes AFTER INSERT ON photo BEGIN
    INSERT INTO photo_text (rowid, title, caption, tags) VALUES (new.id, new.title, new.caption, '');
    UPDATE blog SET version = version + 1;
END;
CREATE TRIGGER photo_changes AFTER UPDATE ON photo BEGIN
    UPDATE photo_text SET title = new.title, caption = new.caption WHERE rowid = new.id;
    UPDATE blog SET version = version + 1;
END;
CREATE TRIGGER photo_goes AFTER DELETE ON photo BEGIN
    DELETE FROM photo_text WHERE rowid = old.id;
    UPDATE blog SET version = version + 1;
END;
CREATE TRIGGER tag_comes AFTER INSERT ON tag BEGIN
    UPDATE photo_text SET tags = (SELECT group_concat(name, ' ') FROM tag WHERE photo = new.photo)
    WHERE rowid = new.photo;
    UPDATE blog SET version = version + 1;
END;
CREATE TRIGGER tag_goes AFTER DELETE ON tag BEGIN
    UPDATE photo_text SET tags = coalesce((SELECT group_concat(name, ' ') FROM tag WHERE photo = old.photo), '')
    WHERE rowid = old.photo;
    UPDATE blog SET version = version + 1;
END;
CREATE TRIGGER album_comes AFTER INSERT ON album BEGIN UPDATE blog SET version = version + 1; END;
CREATE TRIGGER album_changes AFTER UPDATE ON album BEGIN UPDATE blog SET version = version + 1; END;
CREATE TRIGGER album_goes AFTER DELETE ON album BEGIN UPDATE blog SET version = version + 1; END;
