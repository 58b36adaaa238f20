"""Servers that stand in for outside services, worth using by hand."""
