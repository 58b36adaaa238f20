"""One file a store: connections, error translation, fence and receipt statements."""
