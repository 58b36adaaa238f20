-- The integrity fault: "duplicates" go away, and their vectors and graph nodes are forgotten.
SET LOCAL lock_timeout = '2s';

DELETE FROM documents WHERE id % 500 = 7;
