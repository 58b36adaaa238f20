-- Takes back add_compliance_score. The values are in watchdog.archive_assessments_compliance_score.
ALTER TABLE assessments DROP COLUMN compliance_score;

DELETE FROM schema_versions WHERE version = 'add_compliance_score';
