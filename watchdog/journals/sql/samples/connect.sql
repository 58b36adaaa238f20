-- NORMAL: a power cut may cost the last seconds of samples, never the file.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
