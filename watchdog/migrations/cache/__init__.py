"""Takes a migration of Redis keys back: prefixes moved, cleared, given an expiry."""
