-- The steps of runs in safe forms; a step's end is written in the transaction of its effect, where it has one.
CREATE TABLE IF NOT EXISTS watchdog.migration_steps (
    run bigint NOT NULL REFERENCES watchdog.migration_runs (id) ON DELETE CASCADE,
    number int NOT NULL,
    step jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'begun', 'done')),
    began_at timestamptz,
    ended_at timestamptz,
    position text[],
    rows bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run, number)
)
