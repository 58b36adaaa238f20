-- After the new code is out.
UPDATE feature_flags
   SET enabled = true, updated_at = now(), updated_by = 'service-team'
 WHERE name = 'migration_reembed_documents_enabled';
