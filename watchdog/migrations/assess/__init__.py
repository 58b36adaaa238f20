"""How dangerous a PostgreSQL migration is: the locks it takes, what it destroys, and the safe form of each statement."""
