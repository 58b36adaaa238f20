SELECT DISTINCT schemaname, tablename, pubname FROM pg_publication_tables WHERE tablename = ANY (%(names)s) ORDER BY 3
