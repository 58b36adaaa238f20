SELECT seq, at, epoch, version, body FROM events WHERE stream = :stream AND seq > :after ORDER BY seq LIMIT :limit
