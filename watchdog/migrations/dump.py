"""Reads a schema with pg_dump."""

import asyncio
import os
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from watchdog.migrations.changelog import TRIGGER
from watchdog.migrations.toc import DumpError, Entry, read
from watchdog.servers.postgres import tool

_ENVIRONMENT = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


async def dump(url: str, role: str = "") -> tuple[Entry, ...]:
    """The contents of the database's schema; ours, `watchdog`, is left out.

    Args:
        role: Whose rights it reads with; empty for the user's own.

    Raises:
        DumpError: pg_dump says no, with what it said.
    """
    parts = conninfo_to_dict(url)
    # The password goes by the environment: arguments can be seen by everybody on the machine.
    settings = {_ENVIRONMENT[key]: str(value) for key, value in parts.items() if key in _ENVIRONMENT}
    others = {
        f"PG{key.upper()}": str(value)
        for key, value in parts.items()
        if key in {"sslmode", "sslrootcert", "sslcert", "sslkey"}
    }
    process = await asyncio.create_subprocess_exec(
        tool("pg_dump"), "-Fc", "-s", "--exclude-schema=watchdog", "--lock-wait-timeout=5s", "--no-subscriptions",
        *((f"--role={role}",) if role else ()),
        env={"PATH": os.environ.get("PATH", os.defpath), **settings, **others},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, complaint = await process.communicate()
    if process.returncode != 0:
        where = urlsplit(url).path.lstrip("/")
        raise DumpError(f"The schema of {where or 'the database'} cannot be read: {complaint.decode().strip()}")
    # Logs of what users write belong to runs, not to the schema.
    return tuple(entry for entry in read(output) if entry.kind != "TRIGGER" or f" {TRIGGER}_" not in entry.tag)
