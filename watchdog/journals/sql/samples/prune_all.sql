DELETE FROM samples WHERE at < (SELECT max(at) FROM samples) - :keep
