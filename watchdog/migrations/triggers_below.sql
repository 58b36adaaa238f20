-- The users' triggers that are on, of a table and of every table that references it, over any number of keys.
WITH RECURSIVE below AS (
    SELECT %s::regclass::oid AS oid
    UNION
    SELECT k.conrelid FROM pg_constraint k JOIN below ON k.confrelid = below.oid WHERE k.contype = 'f'
)
SELECT format('"%%s"."%%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')), t.tgname, t.tgenabled::text
  FROM below JOIN pg_trigger t ON t.tgrelid = below.oid JOIN pg_class c ON c.oid = below.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgparentid = 0
 ORDER BY 1, 2
