SELECT n.nspname, c.relname, a.name
  FROM (SELECT tgrelid AS relation, tgname AS name FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT polrelid, polname FROM pg_policy
        UNION ALL SELECT ev_class, rulename FROM pg_rewrite) a
  JOIN pg_class c ON c.oid = a.relation JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = ANY (%(names)s)
