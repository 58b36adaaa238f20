-- The tables that are named, each with its size and what is below it; a table is as large as all its partitions.
WITH RECURSIVE named AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ANY (%(names)s) AND c.relkind IN ('r', 'p', 'm')
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), below (root, oid) AS (
    SELECT oid, oid FROM named
    UNION
    SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
), sized AS (
    SELECT b.root, b.oid, c.reltuples, c.relpages, n.nspname, c.relname,
           coalesce(pg_relation_size(c.oid), 0) AS main, coalesce(pg_table_size(c.oid), 0) AS total
      FROM below b JOIN pg_class c ON c.oid = b.oid JOIN pg_namespace n ON n.oid = c.relnamespace
), counted AS (
    SELECT *, CASE WHEN main = 0 THEN 0
                   WHEN reltuples < 0 OR relpages = 0 THEN NULL
                   ELSE reltuples::float8 / relpages * main / current_setting('block_size')::int END AS rows
      FROM sized
), summed AS (
    SELECT root, CASE WHEN bool_or(rows IS NULL) THEN -1 ELSE sum(rows) END AS rows,
           sum(CASE WHEN main = 0 THEN 0 ELSE total END)::int8 AS size,
           coalesce(json_agg(json_build_array(nspname, relname) ORDER BY nspname, relname)
                    FILTER (WHERE oid <> root), '[]') AS others
      FROM counted GROUP BY root
)
SELECT n.nspname, n.relname, n.relkind = 'p', s.rows::float8, s.size,
       (SELECT count(*)::int FROM pg_index i WHERE i.indrelid = n.oid), s.others,
       (SELECT json_build_array(pn.nspname, p.relname)
          FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
         WHERE i.inhrelid = n.oid AND p.relkind = 'p'),
       (SELECT json_build_array(dn.nspname, d.relname)
          FROM pg_partitioned_table t JOIN pg_class d ON d.oid = t.partdefid JOIN pg_namespace dn ON dn.oid = d.relnamespace
         WHERE t.partrelid = n.oid),
       (SELECT json_build_array(dn.nspname, d.relname)
          FROM pg_inherits i JOIN pg_partitioned_table t ON t.partrelid = i.inhparent JOIN pg_class d ON d.oid = t.partdefid
          JOIN pg_namespace dn ON dn.oid = d.relnamespace
         WHERE i.inhrelid = n.oid)
  FROM named n JOIN summed s ON s.root = n.oid
