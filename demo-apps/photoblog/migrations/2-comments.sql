-- What readers say about a photo. An author looks at it before others see it.
CREATE TABLE comment (
    id INTEGER PRIMARY KEY,
    photo INTEGER NOT NULL REFERENCES photo ON DELETE CASCADE,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    written TEXT NOT NULL,
    -- 1 once readers see it.
    approved INTEGER NOT NULL CHECK (approved IN (0, 1))
) STRICT;

CREATE INDEX comment_of_photo ON comment (photo, approved, id);
CREATE INDEX comment_that_waits ON comment (id) WHERE approved = 0;
