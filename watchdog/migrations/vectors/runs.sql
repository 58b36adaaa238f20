-- What a rollback of vectors needs: the run with its plan. Run numbers are those of watchdog.migration_runs.
DO $watchdog$
BEGIN
    IF to_regclass('watchdog.vector_runs') IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', '5s', true), set_config('client_min_messages', 'warning', true);
    PERFORM pg_advisory_xact_lock(hashtext('watchdog.migration_schema'));
    CREATE TABLE IF NOT EXISTS watchdog.vector_runs (
        run bigint PRIMARY KEY,
        state text NOT NULL CHECK (state IN ('applying', 'applied', 'rolling back', 'rolled back', 'settled')),
        stage text NOT NULL CHECK (stage IN ('beside', 'switched', 'back', 'listed')),
        name text NOT NULL,
        release text NOT NULL,
        script text NOT NULL,
        script_hash text NOT NULL,
        plan jsonb NOT NULL,
        recall_before double precision,
        recall_after double precision,
        snapshot pg_snapshot,
        report jsonb,
        began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at timestamptz
    );
END $watchdog$;
