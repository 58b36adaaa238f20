"""Assess, archive, rehearse and certify migrations."""
