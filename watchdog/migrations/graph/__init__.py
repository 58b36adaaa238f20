"""Takes a Neo4j migration back from the forward Cypher script alone."""
