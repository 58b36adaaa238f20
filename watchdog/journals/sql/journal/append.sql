INSERT INTO events (stream, seq, at, epoch, batch, version, type, body)
VALUES (:stream, :seq, :at, :epoch, :batch, :version, :type, :body)
