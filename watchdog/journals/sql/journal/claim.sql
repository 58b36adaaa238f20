INSERT INTO streams (stream, epoch) VALUES (:stream, 1)
ON CONFLICT (stream) DO UPDATE SET epoch = epoch + 1
