BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (
    version INTEGER NOT NULL
);
INSERT INTO meta SELECT 1 WHERE NOT EXISTS (SELECT * FROM meta);
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    guard TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    UNIQUE (guard, name, labels)
);
-- `value` has no type: a number is REAL, a histogram or a missing value is JSON.
CREATE TABLE IF NOT EXISTS samples (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value NOT NULL
);
CREATE INDEX IF NOT EXISTS samples_of_series ON samples (series, at);
-- "WDSP"
PRAGMA application_id = 0x57445350;
COMMIT;
