-- Two processes may create the file at once, so every statement may find its work done.
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (
    version INTEGER NOT NULL
);
INSERT INTO meta SELECT 1 WHERE NOT EXISTS (SELECT * FROM meta);
CREATE TABLE IF NOT EXISTS streams (
    stream TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    batch TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
);
-- Reserved: a guard folded up to `seq`, so that a start reads only what came after.
CREATE TABLE IF NOT EXISTS snapshots (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
);
-- "WDJL"
PRAGMA application_id = 0x57444A4C;
COMMIT;
