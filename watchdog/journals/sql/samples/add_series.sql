INSERT OR IGNORE INTO series (guard, name, labels) VALUES (:guard, :name, :labels)
