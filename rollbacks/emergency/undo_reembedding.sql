-- Takes back reembed_documents: documents that its deduplication took away return, the new vectors and their flag go.
INSERT INTO documents (id, title, body, owner_id)
SELECT id, title, body, owner_id FROM watchdog.archive_documents_dedup
ON CONFLICT (id) DO NOTHING;

DROP TABLE document_embeddings_v2;

DELETE FROM feature_flags WHERE name = 'migration_reembed_documents_enabled';
