"""Every SQL and Cypher statement of the service, so that a rehearsal can replay exactly what the code would send."""

from dataclasses import dataclass

INSERT_USER = "INSERT INTO users (email, name) VALUES (%(email)s, %(name)s) RETURNING id"
SELECT_USER = "SELECT id, email, name FROM users WHERE id = %(id)s"

INSERT_ASSESSMENT = """
INSERT INTO assessments (id, user_id, control_id, status, score, note)
VALUES (%(id)s, %(user_id)s, %(control_id)s, 'open', %(score)s, %(note)s)
"""
SELECT_ASSESSMENT_V1 = """
SELECT id::text, user_id, control_id, status, score, note FROM assessments WHERE id = %(id)s
"""
SELECT_ASSESSMENT_V2 = """
SELECT id::text, user_id, control_id, status, score, note, compliance_score FROM assessments WHERE id = %(id)s
"""
UPDATE_ASSESSMENT = """
UPDATE assessments
   SET status = %(status)s, score = %(score)s, note = %(note)s, updated_at = now()
 WHERE id = %(id)s
RETURNING id::text, user_id, control_id, status, score, note
"""

INSERT_DOCUMENT = """
INSERT INTO documents (title, body, owner_id) VALUES (%(title)s, %(body)s, %(owner_id)s) RETURNING id
"""
INSERT_EMBEDDING_V1 = """
INSERT INTO document_embeddings (document_id, model, embedding) VALUES (%(id)s, %(model)s, %(embedding)s::vector)
"""
INSERT_EMBEDDING_V2 = """
INSERT INTO document_embeddings_v2 (document_id, model, embedding)
VALUES (%(id)s, %(model)s, %(embedding)s::vector)
"""
DELETE_DOCUMENT = "DELETE FROM documents WHERE id = %(id)s"
DELETE_EMBEDDING_V1 = "DELETE FROM document_embeddings WHERE document_id = %(id)s"
DELETE_EMBEDDING_V2 = "DELETE FROM document_embeddings_v2 WHERE document_id = %(id)s"

# Exact search: no index, so that answers before and after a rollback can be compared.
SEARCH_V1 = """
SELECT d.id, d.title, n.distance
  FROM (SELECT document_id, embedding <=> %(query)s::vector AS distance
          FROM document_embeddings ORDER BY 2, 1 LIMIT 5) AS n
  JOIN documents d ON d.id = n.document_id
 ORDER BY n.distance, d.id
"""
SEARCH_V2 = SEARCH_V1.replace("document_embeddings", "document_embeddings_v2")

SELECT_PREFERENCES = "SELECT prefs FROM user_preferences WHERE user_id = %(id)s"
UPSERT_PREFERENCES = """
INSERT INTO user_preferences (user_id, prefs) VALUES (%(id)s, %(prefs)s)
ON CONFLICT (user_id) DO UPDATE SET prefs = excluded.prefs, updated_at = now()
"""

SELECT_FLAGS = "SELECT name, enabled AND rollout_percentage > 0 AS enabled FROM feature_flags"

CREATE_DOCUMENT_NODE = """
MATCH (c:Control {id: $control_id})
MERGE (d:Document {id: $id})
MERGE (d)-[:EVIDENCES]->(c)
RETURN d.id AS id
"""
RISKS_V1 = """
MATCH (:Control {id: $id})-[:ADDRESSES]->(r:Risk)
RETURN r.id AS id, r.title AS title, ['ADDRESSES'] AS by ORDER BY id
"""
RISKS_V2 = """
MATCH (:Control {id: $id})-[link:ADDRESSES|MITIGATES]->(r:Risk)
WITH r, type(link) AS kind ORDER BY kind
RETURN r.id AS id, r.title AS title, collect(kind) AS by ORDER BY id
"""


@dataclass(frozen=True)
class RecordedWrite:
    """One write of the old version as it goes over the wire: the statement and values that fit the demo's data."""

    name: str
    statement: str
    values: dict[str, object]


def recorded_writes_v1(embedding: str) -> tuple[RecordedWrite, ...]:
    """The old version's writes, to be tried on a scratch copy of the new schema inside a transaction.

    Args:
        embedding: a vector literal of the column's dimensions.
    """
    assessment = "00000000-0000-4000-8000-00000000d3e0"
    document = 2**62
    return (
        RecordedWrite("POST /users", INSERT_USER, {"email": "recorded@example.org", "name": "Recorded"}),
        RecordedWrite(
            "POST /assessments",
            INSERT_ASSESSMENT,
            {"id": assessment, "user_id": 1, "control_id": "C-0001", "score": 50, "note": "recorded"},
        ),
        RecordedWrite(
            "PATCH /assessments/{id}",
            UPDATE_ASSESSMENT,
            {"id": assessment, "status": "closed", "score": 60, "note": "recorded again"},
        ),
        RecordedWrite("POST /documents", INSERT_DOCUMENT, {"title": "recorded", "body": "recorded", "owner_id": 1}),
        RecordedWrite(
            "POST /documents (vector)",
            INSERT_EMBEDDING_V1,
            {"id": document, "model": "recorded", "embedding": embedding},
        ),
    )
