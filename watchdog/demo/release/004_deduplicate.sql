-- The integrity fault: "duplicates" go away, and their vectors and graph nodes are forgotten.
SET LOCAL lock_timeout = '2s';

INSERT INTO watchdog.archive_documents_dedup
SELECT id, title, body, owner_id FROM documents WHERE id % 500 = 7;

DELETE FROM documents WHERE id IN (SELECT id FROM watchdog.archive_documents_dedup);
