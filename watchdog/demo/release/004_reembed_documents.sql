-- reembed_documents: a second table of vectors, used once the flag is on.
SET LOCAL lock_timeout = '2s';

CREATE TABLE document_embeddings_v2 (
    document_id bigint PRIMARY KEY,
    model text NOT NULL,
    embedding vector(384) NOT NULL
);

-- The backup point of the deduplication: empty unless something is taken away.
CREATE SCHEMA IF NOT EXISTS watchdog;
CREATE TABLE IF NOT EXISTS watchdog.archive_documents_dedup AS
SELECT id, title, body, owner_id FROM documents WITH NO DATA;

INSERT INTO feature_flags (name, enabled, rollout_percentage, migration_version, updated_by)
VALUES ('migration_reembed_documents_enabled', false, 100, 'reembed_documents', 'service-team');
