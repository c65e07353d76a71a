CREATE TABLE notes (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    title   TEXT NOT NULL,
    text    TEXT NOT NULL,
    author  TEXT NOT NULL
);
