-- reembed_documents: a second table of vectors, used once the flag is on.
SET LOCAL lock_timeout = '2s';

CREATE TABLE document_embeddings_v2 (
    document_id bigint PRIMARY KEY,
    model text NOT NULL,
    embedding vector(384) NOT NULL
);

INSERT INTO feature_flags (name, enabled, rollout_percentage, migration_version, updated_by)
VALUES ('migration_reembed_documents_enabled', false, 100, 'reembed_documents', 'service-team');
