from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from watchdog.migrations.manifest import Manifest
from watchdog.migrations.session import ensure_schema
from watchdog.model.signals import Cause, Labels, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.statements import KIND, StatementsOptions, StatementsRead, pattern
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]

BOTH = {"calls": StatementsRead(of="calls"), "seconds": StatementsRead(of="seconds")}
SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE assessments (id int, score int); CREATE TABLE users (id int);
INSERT INTO assessments SELECT n, n FROM generate_series(1, 10) AS n; INSERT INTO users VALUES (1);
"""
