"""`watchdog run`: reads the configuration, puts the daemon together, and serves until it is told to stop."""

import asyncio
import signal
from pathlib import Path

import structlog

from watchdog.app.compose import compose
from watchdog.app.discovery import discoveries
from watchdog.app.logs import configure
from watchdog.app.registries import registries
from watchdog.app.reversibility import Keeper
from watchdog.config import load
from watchdog.runtime.clock import SystemClock
from watchdog.runtime.daemon import Daemon
from watchdog.web.server import serve

log = structlog.get_logger(__name__)


async def run(path: Path) -> None:
    """Watches until SIGTERM or SIGINT.

    Raises:
        ConfigError: The configuration has mistakes; all of them are in it.
        StateError: The state directory cannot be made.
        JournalError: The journal cannot be used.
        ListenError: The socket, or the address of the metrics, cannot be listened on.
    """
    configure()
    kinds = registries()
    configuration = load(path, kinds)
    for warning in configuration.warnings:
        log.warning("configuration", warning=str(warning))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = await compose(configuration, kinds, SystemClock())
    daemon = Daemon(parts)
    for discovery in discoveries(configuration, parts, daemon):
        parts.ticker.every(discovery.name, discovery.every, discovery.look, jitter=discovery.every // 10)
    keeper = Keeper(configuration.guards, parts.targets, daemon.guard, parts.clock)
    metrics = configuration.web.metrics
    address = (metrics.host, metrics.port) if metrics is not None else None
    try:
        # Listening comes first: whoever cannot be reached must not begin to act.
        async with serve(daemon, configuration.web.socket, address, keeper.kept) as serving, keeper.looking():
            await daemon.start()
            bound = f"{serving.metrics[0]}:{serving.metrics[1]}" if serving.metrics is not None else None
            log.info("watching", guards=list(daemon.guards()), socket=str(serving.socket), metrics=bound)
            await stop.wait()
            log.info("stopping")
            # It answers while the step under way ends: now is when somebody asks.
            await daemon.park()
    finally:
        await daemon.stop()
