-- Every table's columns and what is said about the table itself; expressions are qualified when search_path is empty.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relfilenode::bigint,
       concat_ws(' ', c.relpersistence, c.relforcerowsecurity, c.relreplident, c.reltablespace, c.reloptions::text, c.relispartition,
                 pg_get_expr(c.relpartbound, c.oid), c.reloftype, am.amname,
                 (SELECT array_agg(i.inhparent ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid)) AS other,
       coalesce((SELECT array_agg(a.attname::text ORDER BY k.o) FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY k(x, o)
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.x
                  WHERE p.conrelid = c.oid AND p.contype = 'p'), '{}') AS key,
       coalesce((SELECT jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k
                  WHERE k.conrelid = c.oid AND k.contype = 'c'), '{}') AS checks,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                   'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, -1),
                   'exact', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '',
                   'required', a.attnotnull, 'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
                   'inherited', a.attinhcount > 0,
                   'other', concat_ws(' ', a.attidentity, a.attstorage, a.attcompression, nullif(a.attstattarget, -1),
                                      a.attoptions::text, co.collname, a.attislocal,
                                      CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END))
                   ORDER BY a.attnum)
                   FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                   LEFT JOIN pg_collation co ON co.oid = a.attcollation
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'watchdog')
   AND n.nspname !~ '^pg_(temp|toast_temp)_'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
