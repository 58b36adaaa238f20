"""The daemon's API on a Unix socket, its metrics and its health."""
