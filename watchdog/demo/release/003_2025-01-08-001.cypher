// Graph migration 2025-01-08-001: controls that mitigate the risks they address. One transaction.
// 1. The backup point: what step 3 overwrites.
CREATE (b:MigrationBackup {id: '2025-01-08-001', created_at: datetime()})
WITH b
MATCH (c:Control)
WHERE toInteger(substring(c.id, 2)) % 3 = 0
CREATE (b)-[:ARCHIVED]->(:ArchivedControl {
  migration: b.id, control_id: c.id, mitigation_count: c.mitigation_count
});
// 2. The new relationships.
MATCH (c:Control)-[:ADDRESSES]->(r:Risk)
WHERE toInteger(substring(c.id, 2)) % 3 = 0
MERGE (c)-[m:MITIGATES]->(r)
ON CREATE SET m.migration = '2025-01-08-001';
// 3. How many there are, on the control.
MATCH (c:Control)
WHERE toInteger(substring(c.id, 2)) % 3 = 0
SET c.mitigation_count = COUNT { (c)-[:MITIGATES]->(:Risk) };
// 4. The log.
CREATE (:MigrationLog {id: '2025-01-08-001', applied_at: datetime()});
