SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND proname = ANY (%(functions)s)
