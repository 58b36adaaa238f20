"""The command line; the only package that prints."""

from watchdog.cli.root import app, main

__all__ = ["app", "main"]
