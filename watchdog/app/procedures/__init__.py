"""The seed's procedures: testing before a migration, and validation after it."""
