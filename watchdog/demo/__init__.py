"""The demo: a sample service on real servers, a release that hurts, and the daemon that takes it back."""
