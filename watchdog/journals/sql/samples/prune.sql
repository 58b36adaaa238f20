DELETE FROM samples WHERE series IN (SELECT id FROM series WHERE guard = :guard) AND at < :before
