-- The last change to the databases: the last batch and NOT NULL in one short locking transaction.
SET LOCAL lock_timeout = '2s';

LOCK TABLE assessments IN ACCESS EXCLUSIVE MODE;
UPDATE assessments SET compliance_score = (score * 9 + 50) / 10 WHERE compliance_score IS NULL;
ALTER TABLE assessments ALTER COLUMN compliance_score SET NOT NULL;

INSERT INTO schema_versions (version, description) VALUES ('add_compliance_score', 'score of compliance');
