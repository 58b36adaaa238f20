"""One GET to an HTTP target."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.probes.readings import no_answer
from watchdog.targets.http import HttpTarget

_UNCOMPRESSED = {"Accept-Encoding": "identity"}
"""A small compressed answer can hold a huge one."""


@asynccontextmanager
async def get(target: HttpTarget, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
    """The head of the answer; its raw body is left for the block to read as far as wanted.

    Raises:
        ProbeError: The target does not answer or cannot be asked; also for httpx's errors out of the block.
    """
    try:
        with target.translated():
            every = {**_UNCOMPRESSED, **(headers or {})}
            async with target.client().stream("GET", path, headers=every) as response:
                yield response
    except ProbeError:
        raise
    except WatchdogError as error:
        raise no_answer(error) from error
