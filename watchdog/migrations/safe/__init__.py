"""Migrations in safe forms: the same meaning, in steps during which nobody waits for long."""
