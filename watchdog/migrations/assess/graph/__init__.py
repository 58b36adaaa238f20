"""How dangerous a Cypher migration is, as the plans of the server's EXPLAIN and the graph's own counts tell."""
