"""Migration tools of other languages, applied and taken back on a real server."""
