"""Stands beside a service while its database migrations go out, and takes them back when they hurt."""

__version__ = "0.1.0"
