-- Columns that something other than their values knows: keys, checks, unique indexes, policies, partition keys.
SELECT n.nspname::text, c.relname::text, a.attname::text
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'watchdog')
   AND (EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype <> 'n')
     OR EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = c.oid AND a.attnum = ANY (k.confkey))
     OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey) AND i.indisunique)
     OR EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                   AND d.refobjsubid = a.attnum
                   AND d.classid IN ('pg_policy'::regclass, 'pg_rewrite'::regclass, 'pg_trigger'::regclass,
                                     'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass))
     OR EXISTS (SELECT FROM pg_depend d JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND d.objid = g.oid
                 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                   AND g.adnum <> a.attnum)
     OR EXISTS (SELECT FROM pg_depend d JOIN pg_index i ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                   AND i.indisunique))
