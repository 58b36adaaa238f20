-- A page is written although nothing changes.
UPDATE meta SET version = version
