-- Every object that can be renamed, by number: group, number, parent's number, kind, schema, name, extra.
WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
     WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'watchdog') AND nspname !~ '^pg_(temp|toast_temp)_'
), of_extension AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
)
SELECT 'schema' AS grp, oid::bigint AS oid, 0::bigint AS parent, '' AS kind, '' AS schema, nspname::text AS name, '' AS extra
  FROM ours WHERE ('pg_namespace'::regclass, oid) NOT IN (SELECT * FROM of_extension)
UNION ALL
SELECT 'relation', c.oid::bigint, coalesce(d.refobjid, i.indrelid, 0)::bigint, c.relkind::text, n.nspname, c.relname,
       coalesce(d.deptype::text, CASE WHEN k.oid IS NOT NULL THEN 'c' WHEN c.relkind = 'm' AND c.relispopulated THEN 'filled'
                                      ELSE '' END)
  FROM pg_class c JOIN ours n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
       AND d.refclassid = 'pg_class'::regclass
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM of_extension)
UNION ALL
SELECT 'type', t.oid::bigint, 0, t.typtype::text, n.nspname, t.typname, ''
  FROM pg_type t JOIN ours n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
   AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM of_extension)
UNION ALL
SELECT 'routine', p.oid::bigint, 0, p.prokind::text, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)
  FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM of_extension)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
UNION ALL
SELECT 'column', a.attnum::bigint, a.attrelid::bigint, '', '', a.attname, CASE WHEN a.attinhcount > 0 THEN 'i' ELSE '' END
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'constraint', k.oid::bigint, k.conrelid::bigint, k.contype::text, '', k.conname,
       CASE WHEN k.coninhcount > 0 OR k.conparentid <> 0 THEN 'i' ELSE '' END
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN ours n ON n.oid = c.relnamespace
 WHERE k.contype NOT IN ('p', 'u', 'x', 't')
UNION ALL
SELECT 'trigger', t.oid::bigint, t.tgrelid::bigint, '', '', t.tgname, CASE WHEN t.tgparentid <> 0 THEN 'i' ELSE '' END
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ours n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND t.tgname !~ '^watchdog_log'
UNION ALL
SELECT 'policy', p.oid::bigint, p.polrelid::bigint, '', '', p.polname, ''
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN ours n ON n.oid = c.relnamespace
UNION ALL
SELECT 'rule', r.oid::bigint, r.ev_class::bigint, '', '', r.rulename, ''
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN ours n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'label', e.oid::bigint, e.enumtypid::bigint, '', '', e.enumlabel, ''
  FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN ours n ON n.oid = t.typnamespace
