-- Writes down each row that is written while a tool works, and whether the tool wrote it. {run} is the run's number.
-- Values are written as images write them, whatever the session has set; a row as one text, as its columns may change.
CREATE TABLE watchdog.tool_{run}_log (
    -- A key, since a publication of all tables lets nobody delete from a table without one.
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relid oid NOT NULL,
    tool boolean NOT NULL,
    op text NOT NULL,
    shape text[],
    old text,
    new text,
    xid text NOT NULL DEFAULT pg_catalog.pg_current_xact_id()::pg_catalog.xid::text
);
-- What users wrote is found without reading what the tool did.
CREATE INDEX ON watchdog.tool_{run}_log (relid, seq) WHERE NOT tool;
CREATE FUNCTION watchdog.tool_{run}_capture() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET timezone = 'UTC'
    SET extra_float_digits = '3' SET bytea_output = 'hex' SET xmlbinary = 'base64'
AS $capture$
DECLARE
    tool boolean := coalesce(current_setting('watchdog.tool', true), '') = '{run}';
    shape text[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO watchdog.tool_{run}_log (relid, tool, op) VALUES (TG_RELID, tool, 'T');
        RETURN NULL;
    END IF;
    -- Which columns the text holds: they may be others in the next transaction.
    SELECT array_agg(concat_ws(':', a.attnum, a.atttypid, a.atttypmod) ORDER BY a.attnum) INTO shape
      FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped;
    INSERT INTO watchdog.tool_{run}_log (relid, tool, op, shape, old, new)
    VALUES (TG_RELID, tool, left(TG_OP, 1), shape,
            CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END);
    RETURN NULL;
END $capture$;
