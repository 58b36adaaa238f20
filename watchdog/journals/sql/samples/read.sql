SELECT series.name, series.labels, samples.at, samples.value
FROM series JOIN samples ON samples.series = series.id
WHERE series.guard = :guard AND samples.at >= :since
ORDER BY samples.at, samples.id
