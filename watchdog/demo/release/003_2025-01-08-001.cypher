// Graph migration 2025-01-08-001: controls that mitigate the risks they address.
// 1. The new relationships.
MATCH (c:Control)-[:ADDRESSES]->(r:Risk)
WHERE toInteger(substring(c.id, 2)) % 3 = 0
MERGE (c)-[m:MITIGATES]->(r)
ON CREATE SET m.migration = '2025-01-08-001';
// 2. How many there are, on the control.
MATCH (c:Control)
WHERE toInteger(substring(c.id, 2)) % 3 = 0
SET c.mitigation_count = COUNT { (c)-[:MITIGATES]->(:Risk) };
// 3. The log.
CREATE (:MigrationLog {id: '2025-01-08-001', applied_at: datetime()});
