"""How dangerous a PostgreSQL migration is: its locks, what it destroys, and the safe form of each statement."""
