-- One line of text for everything that makes up a schema, in an order that does not depend on when it was made.
-- Left out: system schemas, our own, temporary objects, and what belongs to an extension.
WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
     WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'watchdog')
       AND nspname !~ '^(pg_(temp|toast_temp)_|watchdog_run_)'
), of_extension AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.oid, ours.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.reloptions,
           -- Explicit defaults and none are the same.
           (SELECT array_agg(acl ORDER BY acl::text) FROM unnest(coalesce(c.relacl,
               acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) AS acl) AS relacl,
           pg_get_userbyid(c.relowner) AS owner
      FROM pg_class c JOIN ours ON ours.oid = c.relnamespace
     WHERE (('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM of_extension))
)
SELECT line FROM (
    SELECT format('schema %I', nspname) FROM ours
    UNION ALL
    SELECT format('relation %s %I.%I owner %s persistence %s rls %s options %s', relkind, nspname, relname, owner,
                  relpersistence, relrowsecurity, reloptions)
      FROM relations WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    -- A line for each, so that a grant to somebody new is something more and not another table.
    SELECT format('grant on %I.%I %s', nspname, relname, acl)
      FROM relations, unnest(relacl) AS acl WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT format('column %I.%I %s %I %s notnull %s default %s identity %s generated %s collation %s',
                  r.nspname, r.relname,
                  row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname,
                  format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
                  a.attidentity, a.attgenerated, co.collname)
      FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p', 'f')
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN pg_collation co ON co.oid = a.attcollation
     WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('constraint %I.%I %I %s validated %s', r.nspname, r.relname, c.conname, pg_get_constraintdef(c.oid),
                  c.convalidated)
      FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid
     WHERE c.contype <> 'n'
    UNION ALL
    SELECT format('index %s valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
      FROM pg_index i JOIN relations r ON r.oid = i.indrelid
    UNION ALL
    SELECT format('view %I.%I %s', nspname, relname, pg_get_viewdef(oid)) FROM relations WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT format('trigger %s enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
      FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid
     WHERE NOT t.tgisinternal AND t.tgname !~ '^watchdog_log'
    UNION ALL
    SELECT format('policy %I.%I %I %s %s using %s check %s', r.nspname, r.relname, p.polname, p.polcmd, p.polpermissive,
                  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
    UNION ALL
    SELECT format('function %s', pg_get_functiondef(f.oid))
      FROM pg_proc f JOIN ours ON ours.oid = f.pronamespace
     WHERE f.prokind IN ('f', 'p') AND ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM of_extension)
    UNION ALL
    SELECT format('enum %I.%I %s', ours.nspname, t.typname,
                  (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder)
                     FROM pg_enum WHERE enumtypid = t.oid))
      FROM pg_type t JOIN ours ON ours.oid = t.typnamespace
     WHERE t.typtype = 'e' AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM of_extension)
    UNION ALL
    SELECT format('domain %I.%I %s notnull %s default %s', ours.nspname, t.typname,
                  format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault)
      FROM pg_type t JOIN ours ON ours.oid = t.typnamespace
     WHERE t.typtype = 'd' AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM of_extension)
) AS everything (line)
ORDER BY line COLLATE "C"
