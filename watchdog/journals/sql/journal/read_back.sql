SELECT count(*) FROM events WHERE stream = :stream AND seq BETWEEN :first AND :last AND batch = :batch
