INSERT INTO samples (series, at, value)
VALUES ((SELECT id FROM series WHERE guard = :guard AND name = :name AND labels = :labels), :at, :value)
