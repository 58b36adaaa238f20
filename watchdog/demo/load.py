"""The load generator: `python -m watchdog.demo.load --url http://127.0.0.1:8080 --ledger FILE --summary FILE`.

A closed loop: each simulated user waits for its answer, then thinks, then asks again. It goes on while the service
is down, and says at the end what its users had to bear.
"""

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from watchdog.demo import ledger, traffic
from watchdog.demo.data import DEMO, SMALL, Sizes
from watchdog.runtime.clock import SystemClock

WORKERS = 10
RATE_PER_S = 70.0
TIMEOUT_S = 10.0


@dataclass
class Stats:
    """What users saw. Times are seconds of a monotonic clock, `started_at` is nanoseconds UTC."""

    started_at: int
    started: float = field(default_factory=time.monotonic)
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    longest_stall_s: float = 0.0
    seconds: list[list[int]] = field(default_factory=list)
    _last_success: float = field(default_factory=time.monotonic)

    def count(self, outcome: traffic.Outcome) -> None:
        """Adds one finished request."""
        now = time.monotonic()
        self.requests += 1
        second = self._second(now)
        if outcome.error is None:
            self._stalled(now)
            self._last_success = now
            second[0] += 1
        else:
            self.errors[f"{outcome.operation} {outcome.error}"] += 1
            second[1] += 1

    def _second(self, now: float) -> list[int]:
        while len(self.seconds) <= int(now - self.started):
            self.seconds.append([0, 0])
        return self.seconds[int(now - self.started)]

    def _stalled(self, now: float) -> None:
        self.longest_stall_s = max(self.longest_stall_s, now - self._last_success)

    def summary(self) -> dict[str, object]:
        """Totals so far; `series` holds [good, bad] for each second since `started_at`."""
        now = time.monotonic()
        self._stalled(now)
        running = now - self.started
        return {
            "started_at": self.started_at,
            "seconds": round(running, 3),
            "requests": self.requests,
            "requests_per_second": round(self.requests / running, 1) if running else 0.0,
            "errors": sum(self.errors.values()),
            "errors_by_kind": dict(self.errors.most_common()),
            "longest_stall_s": round(self.longest_stall_s, 3),
            "cpu_s": round(time.process_time(), 2),
            "series": self.seconds,
        }


@dataclass(frozen=True)
class Options:
    """How to run. `rate` is requests a second over all users."""

    url: str
    ledger: Path
    summary: Path
    sizes: Sizes = DEMO
    workers: int = WORKERS
    rate: float = RATE_PER_S


async def run(options: Options, stop: asyncio.Event, now: Callable[[], int]) -> dict[str, object]:
    """Runs until `stop` is set, lets requests under way finish, and returns the summary.

    Args:
        options: where to, and how fast.
        stop: set to end.
        now: nanoseconds UTC, for the ledger.
    """
    writer = ledger.Writer.open(options.ledger)
    stats = Stats(now())
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            shared = traffic.Shared(
                http, options.url, options.sizes, secrets.token_hex(4), options.workers, writer.add, now
            )
            users = [_use(shared, number, options, stats, stop) for number in range(options.workers)]
            async with asyncio.TaskGroup() as tasks:
                for user in users:
                    tasks.create_task(user)
                tasks.create_task(_watch_version(shared, stop))
                tasks.create_task(_report(options.summary, stats, stop))
    finally:
        writer.close()
        _save(options.summary, stats)
    return stats.summary()


async def _use(shared: traffic.Shared, number: int, options: Options, stats: Stats, stop: asyncio.Event) -> None:
    chance = random.Random(number)  # noqa: S311 - simulated users, not secrets
    user = traffic.User(shared, number, chance)
    interval = options.workers / options.rate
    due = time.monotonic() + chance.uniform(0, interval)
    while not await _stopped(stop, due - time.monotonic()):
        stats.count(await user.act())
        # Behind schedule means slower, as with people; nobody makes up for lost requests.
        due = max(due + interval * chance.uniform(0.8, 1.2), time.monotonic())


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
    return stop.is_set()


async def _watch_version(shared: traffic.Shared, stop: asyncio.Event) -> None:
    while not await _stopped(stop, 1.0):
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
            async with shared.http.get(f"{shared.url}/version") as response:
                shared.version = (await response.json())["version"]


async def _report(path: Path, stats: Stats, stop: asyncio.Event) -> None:
    while not await _stopped(stop, 1.0):
        _save(path, stats)


def _save(path: Path, stats: Stats) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(stats.summary()), encoding="utf-8")
    partial.replace(path)


async def _main(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await run(options, stop, SystemClock().now)


def main() -> None:
    """Runs until SIGTERM."""
    parser = argparse.ArgumentParser(prog="watchdog.demo.load")
    parser.add_argument("--url", required=True)
    parser.add_argument("--ledger", "--out", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True)
    parser.add_argument("--sizes", choices=("demo", "small"), default="demo")
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="requests a second")
    parser.add_argument("--workers", type=int, default=WORKERS)
    given = parser.parse_args()
    sizes = DEMO if given.sizes == "demo" else SMALL
    asyncio.run(_main(Options(given.url, given.ledger, given.summary, sizes, given.workers, given.rate)))


if __name__ == "__main__":
    main()
