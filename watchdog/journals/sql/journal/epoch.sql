SELECT epoch FROM streams WHERE stream = :stream
