-- Tables that hold rows, and partitioned ones above them, each with its columns and how their values are masked.
SELECT n.nspname::text, c.relname::text, c.relkind::text,
       jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'mask',
           CASE WHEN EXISTS (SELECT FROM pg_constraint k
                              WHERE (k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype <> 'n')
                                 OR (k.confrelid = c.oid AND a.attnum = ANY (k.confkey)))
                  OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
                  OR t.typtype <> 'b' THEN ''
                WHEN t.typname IN ('json', 'jsonb') THEN 'json'
                WHEN t.typname = 'bytea' THEN 'bytea'
                WHEN t.typcategory = 'S' AND t.typname <> 'char' THEN 'S' ELSE '' END) ORDER BY a.attnum)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'watchdog')
   AND n.nspname !~ '^pg_(temp|toast_temp)_'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 GROUP BY c.oid, n.nspname, c.relname, c.relkind ORDER BY 1, 2
