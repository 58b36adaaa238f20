"""Takes a migration of pgvector embeddings back: a new column or index beside the old, switched by recall."""
