-- Run by the superuser in a new database. Roles belong to the whole cluster, so they may be there already;
-- their passwords are set at each start.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'compliance_owner NOLOGIN',
        'compliance_app LOGIN',
        'compliance_migrator LOGIN IN ROLE compliance_owner',
        'watchdog_agent LOGIN IN ROLE compliance_owner, pg_monitor, pg_signal_backend'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(wanted, ' ', 1)) THEN
            EXECUTE 'CREATE ROLE ' || wanted;
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO compliance_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO compliance_app, compliance_migrator, watchdog_agent', current_database()
    );
END
$$;

ALTER SCHEMA public OWNER TO compliance_owner;
GRANT USAGE ON SCHEMA public TO compliance_app;
ALTER DEFAULT PRIVILEGES FOR ROLE compliance_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO compliance_app;
ALTER DEFAULT PRIVILEGES FOR ROLE compliance_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO compliance_app;

-- What keeps the way back; the release and the watchdog both write there.
CREATE SCHEMA IF NOT EXISTS watchdog AUTHORIZATION compliance_owner;

CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
