"""Feature flag stores."""
