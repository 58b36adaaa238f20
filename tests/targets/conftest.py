"""The guarded database and contexts of the actions' tests."""

from tests.actions.conftest import clock, context, database, guarded

__all__ = ["clock", "context", "database", "guarded"]
