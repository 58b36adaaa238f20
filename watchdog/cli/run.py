"""`watchdog run`."""

import asyncio

from watchdog.app import daemon
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json


def run(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Watch until told to stop.

    Reads the configuration, takes over every guard, and watches until SIGTERM or Ctrl-C. It logs one JSON object a
    line on standard error, with --json and without.
    """
    del as_json
    asyncio.run(daemon.run(config))
