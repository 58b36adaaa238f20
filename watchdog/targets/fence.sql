-- What the watchdog keeps in a guarded PostgreSQL database. Runs as one transaction; safe to repeat and to race.
SELECT pg_advisory_xact_lock(1463899204, 0);
CREATE SCHEMA IF NOT EXISTS watchdog;
REVOKE ALL ON SCHEMA watchdog FROM PUBLIC;
-- Who may act: only the holder of the highest epoch.
CREATE TABLE IF NOT EXISTS watchdog.fence (
    guard text PRIMARY KEY,
    epoch bigint NOT NULL
);
-- What was done: written in the transaction of the effect.
CREATE TABLE IF NOT EXISTS watchdog.receipts (
    step_id text PRIMARY KEY,
    guard text NOT NULL,
    run_id text NOT NULL,
    epoch bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail text NOT NULL
);
-- What was kept before it was destroyed; `relation` is the table in this schema that holds it.
CREATE TABLE IF NOT EXISTS watchdog.archives (
    run_id text NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    relation text NOT NULL,
    rows bigint NOT NULL,
    checksum text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, name)
);
-- Grants taken from writers, to be given back.
CREATE TABLE IF NOT EXISTS watchdog.fenced_grants (
    guard text NOT NULL,
    run_id text NOT NULL,
    role text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('table', 'sequence')),
    schema_name text NOT NULL,
    relation text NOT NULL,
    column_name text NOT NULL DEFAULT '',
    privilege text NOT NULL,
    grantable boolean NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lifted_at timestamptz
);
