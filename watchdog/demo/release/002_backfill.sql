-- One batch, in the order of the key; returns the last key of the batch, or nothing when there is no more.
WITH batch AS (
    SELECT id FROM assessments WHERE id > %(after)s ORDER BY id LIMIT %(size)s
), filled AS (
    UPDATE assessments a
       SET compliance_score = (a.score * 9 + 50) / 10
      FROM batch
     WHERE a.id = batch.id AND a.compliance_score IS NULL
)
SELECT id::text FROM batch ORDER BY id DESC LIMIT 1
