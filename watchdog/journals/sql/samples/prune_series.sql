DELETE FROM series WHERE NOT EXISTS (SELECT * FROM samples WHERE samples.series = series.id)
