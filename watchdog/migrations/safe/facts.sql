-- One row for each table: what decides whether a statement about it has a safe form.
SELECT n.nspname::text, c.relname::text, c.relkind::text,
       (SELECT coalesce(json_object_agg(a.attname, json_build_object(
                   'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
                   'generated', a.attgenerated <> '',
                   'default', (SELECT pg_get_expr(f.adbin, f.adrelid) FROM pg_attrdef f
                                WHERE f.adrelid = c.oid AND f.adnum = a.attnum AND a.attgenerated = ''),
                   'known', EXISTS (SELECT FROM pg_depend d
                       WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                         AND NOT EXISTS (SELECT FROM pg_attrdef f WHERE d.classid = 'pg_attrdef'::regclass
                                            AND d.objid = f.oid AND f.adnum = a.attnum)
                         AND NOT EXISTS (SELECT FROM pg_constraint k WHERE d.classid = 'pg_constraint'::regclass
                                            AND d.objid = k.oid AND k.contype = 'n')),
                   'proven', EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
                       AND k.convalidated AND k.conkey = ARRAY[a.attnum]
                       AND pg_get_expr(k.conbin, k.conrelid) = format('(%%I IS NOT NULL)', a.attname)))), '{}')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
               JOIN pg_attribute a ON a.attnum = k.number AND a.attrelid = c.oid
              WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place),
       ARRAY(SELECT DISTINCT a.attname::text FROM pg_index i
               JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
                AND (d.objid = i.indexrelid OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
                     AND k.conkey @> ARRAY[d.refobjsubid::int2]))
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
              WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)
              UNION
             SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid
                AND a.attnum = ANY (i.indkey::int2[]) WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)),
       ARRAY(SELECT 'trigger ' || quote_ident(t.tgname) FROM pg_trigger t
              WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname !~ '^watchdog_' AND t.tgtype & 16 > 0
                AND t.tgenabled <> 'D'
              UNION ALL SELECT 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r
              WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
              UNION ALL SELECT 'child ' || i.inhrelid::regclass::text FROM pg_inherits i
              WHERE i.inhparent = c.oid AND c.relkind <> 'p'),
       ARRAY(SELECT k.conname::text FROM pg_constraint k WHERE k.conrelid = c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'watchdog', 'pg_toast')
   AND c.relname = ANY (%(names)s::text[])
