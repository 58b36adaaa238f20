"""Real PostgreSQL, Redis and Neo4j as plain processes, for the demo, rehearsals and tests."""
