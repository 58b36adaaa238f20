"""Finds releases that nobody announced: what a target shows, what has changed since, and what becomes of it."""
