// Takes back graph migration 2025-01-08-001 from its backup point, which stays.
MATCH (:Control)-[m:MITIGATES {migration: '2025-01-08-001'}]->(:Risk)
DELETE m;

MATCH (:MigrationBackup {id: '2025-01-08-001'})-[:ARCHIVED]->(kept:ArchivedControl)
MATCH (c:Control {id: kept.control_id})
SET c.mitigation_count = kept.mitigation_count;

MATCH (log:MigrationLog {id: '2025-01-08-001'})
DELETE log;
