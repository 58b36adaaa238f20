"""The sample service: a compliance API over PostgreSQL with pgvector, Neo4j and Redis, in versions v1 and v2."""
