"""One file a lease: who may act now."""
