SELECT n.nspname, c.relname, v.oid::regclass::text,
       array_remove(array_agg(DISTINCT a.attname::text), NULL)
  FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
  JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND a.attnum > 0
 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> c.oid
   AND v.relkind IN ('v', 'm') AND c.relname = ANY (%(names)s)
 GROUP BY 1, 2, 3
