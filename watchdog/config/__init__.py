"""Reads config.yaml, rules and playbooks; every mistake gets its file, line and key."""
