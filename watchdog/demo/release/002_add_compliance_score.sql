-- add_compliance_score: the column; 002_backfill.sql fills it, 005_compliance_score_required.sql makes it required.
SET LOCAL lock_timeout = '2s';

ALTER TABLE assessments ADD COLUMN compliance_score int;
