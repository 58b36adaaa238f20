-- What later versions know beyond runs.sql: SQLSTATEs in quarantine, and of each run its log's limits and policies.
-- It changes nothing, and locks nothing, where all is there.
DO $watchdog$
DECLARE
    grantee text;
BEGIN
    -- What refused the row: the server's SQLSTATE, and the constraint or column that it named.
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('watchdog.migration_quarantine')
                      AND attname = 'about' AND NOT attisdropped) THEN
        ALTER TABLE watchdog.migration_quarantine ADD COLUMN IF NOT EXISTS sqlstate text,
            ADD COLUMN IF NOT EXISTS about text;
    END IF;
    IF to_regclass('watchdog.migration_logs') IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('watchdog.migration_schema'));
        CREATE TABLE IF NOT EXISTS watchdog.migration_logs (
            run bigint PRIMARY KEY REFERENCES watchdog.migration_runs (id) ON DELETE CASCADE,
            max_bytes bigint,
            max_wal_bytes bigint,
            max_lag_seconds double precision,
            policies jsonb NOT NULL DEFAULT '{}',
            speed jsonb NOT NULL DEFAULT '{}',
            script_wrote text[] NOT NULL DEFAULT '{}',
            ended_at timestamptz,
            ended_why text
        );
        FOR grantee IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
              FROM pg_class c, aclexplode(c.relacl) a
             WHERE c.oid = 'watchdog.migration_logs'::regclass AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON watchdog.migration_logs FROM %s', grantee);
        END LOOP;
    END IF;
END $watchdog$;
