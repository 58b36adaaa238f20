-- Every foreign key: name, child, parent, its columns in order, what a delete does, whether it was validated.
SELECT k.conname::text, cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
       (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.conkey) WITH ORDINALITY u(x, o)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x),
       (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(k.confkey) WITH ORDINALITY u(x, o)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.x),
       k.confdeltype::text, k.convalidated
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0
