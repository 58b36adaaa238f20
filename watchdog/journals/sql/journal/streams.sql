SELECT stream FROM streams UNION SELECT stream FROM events ORDER BY stream
