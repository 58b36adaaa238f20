"""A load test: so many users for so long, and what is measured by whichever tool makes the load."""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchdog.app.procedures.parts import Outcome, Part
from watchdog.model.time import SECOND, Span, in_seconds, say_span
from watchdog.ports.errors import WatchdogError

GRACE: Span = 60 * SECOND
"""How much longer than asked a tool may take: it connects, it waits for the last answers, it writes down."""


class LoadError(WatchdogError):
    """A tool could not make the load, or broke off."""


@dataclass(frozen=True)
class Load:
    """What is asked for.

    Attributes:
        length: Whole seconds are made of it.
        think: How long a user of an HTTP service waits between two requests.
        max_errors: The ratio of failures that is still well.
        max_p95: How slow the 95th percentile may be; None for no limit.
    """

    users: int
    length: Span
    think: Span = SECOND
    max_errors: float = 0.01
    max_p95: Span | None = None

    @property
    def seconds(self) -> int:
        """The length as tools take it: whole seconds, at least one."""
        return max(1, round(in_seconds(self.length)))


@dataclass(frozen=True)
class Measured:
    """What a tool measured.

    Attributes:
        tried: Requests or transactions, failed ones too.
        per_second: Of those, how many a second.
        p50: Seconds, as the other percentiles; None when nothing came to an end.
        notes: Kinds of failures with how many.
    """

    tried: int
    failed: int
    per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    notes: tuple[str, ...] = ()


def load_part(name: str, asked: Load, measured: Measured) -> Part:
    """Whether it is well: something was done, few enough failed, and fast enough."""
    ratio = measured.failed / measured.tried if measured.tried else 1.0
    numbers = {"users": float(asked.users), "seconds": float(asked.seconds), "tried": float(measured.tried)}
    numbers |= {"per_second": round(measured.per_second, 2), "error_ratio": round(ratio, 6)}
    percentiles = {"p50_seconds": measured.p50, "p95_seconds": measured.p95, "p99_seconds": measured.p99}
    numbers |= {key: value for key, value in percentiles.items() if value is not None}
    wrong: list[str] = []
    if not measured.tried:
        wrong.append("nothing was done at all")
    elif ratio > asked.max_errors:
        wrong.append(f"{ratio:.2%} failed, {asked.max_errors:.2%} allowed")
    if asked.max_p95 is not None and measured.p95 is not None and measured.p95 > in_seconds(asked.max_p95):
        wrong.append(f"p95 is {measured.p95:.3f} s, {in_seconds(asked.max_p95):.3f} s allowed")
    times = ", ".join(f"{key.removesuffix('_seconds')} {value:.3f} s" for key, value in percentiles.items() if value)
    done = (
        f"{asked.users} users for {say_span(asked.seconds * SECOND)}: {measured.per_second:.1f} a second, "
        f"{ratio:.2%} failed, {times or 'no times'}"
    )
    if wrong:
        return Part(name, Outcome.FAILED, "; ".join(wrong), (done, *measured.notes), numbers)
    return Part(name, Outcome.OK, done, measured.notes, numbers)


async def run_tool(
    command: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], length: Span
) -> tuple[int, bytes]:
    """Runs a tool to its end and answers with its status and what it said; it is killed when it takes far too long.

    What it said may quote rows and addresses: it is for looking at, not for showing.

    Raises:
        LoadError: It cannot be started, or did not end.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise LoadError(f"{command[0]!s} cannot be started ({error.strerror})") from error
    try:
        async with asyncio.timeout(in_seconds(length)):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise LoadError(f"{command[0]!s} had not ended after {say_span(length)} and was killed") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, said
