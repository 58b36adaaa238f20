-- What the healthy release has and the broken one forgot: code that does not know the column can go on inserting.
ALTER TABLE assessments ALTER COLUMN compliance_score SET DEFAULT 50;
