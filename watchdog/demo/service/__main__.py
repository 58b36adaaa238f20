"""`python -m watchdog.demo.service --version v1 --port 8080`."""

import argparse
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from watchdog.demo.service import app as application
from watchdog.demo.service.stores import Settings

SHUTDOWN_S = 5.0


def main() -> None:
    """Serves until SIGTERM; requests under way are finished first."""
    parser = argparse.ArgumentParser(prog="watchdog.demo.service")
    parser.add_argument("--version", choices=("v1", "v2"), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid-file", type=Path, help="holds the process id while the service runs")
    arguments = parser.parse_args()
    app = application.create(Settings.from_environment(), arguments.version)
    if arguments.pid_file is not None:
        app.cleanup_ctx.append(_pid_file(arguments.pid_file))
    web.run_app(
        app,
        host="127.0.0.1",
        port=arguments.port,
        print=None,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        reuse_address=True,
    )


def _pid_file(path: Path) -> Callable[[web.Application], AsyncIterator[None]]:
    async def hold(_app: web.Application) -> AsyncIterator[None]:
        mine = str(os.getpid())
        _take(path, mine)
        yield
        _release(path, mine)

    return hold


def _take(path: Path, mine: str) -> None:
    path.write_text(mine)


def _release(path: Path, mine: str) -> None:
    # A successor may have written its own number already.
    if path.exists() and path.read_text() == mine:
        path.unlink()


if __name__ == "__main__":
    main()
