"""One file a journal: the append-only log of events, and the samples beside it."""
