"""Alembic and Django come with the development dependencies."""

import sys

import pytest


@pytest.fixture(scope="session")
def tools_python() -> str:
    """The Python whose environment has the tools."""
    return sys.executable
