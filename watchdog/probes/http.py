"""A health check over HTTP: whether it answers as expected, and how long it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from watchdog.model.signals import SignalKind
from watchdog.model.time import in_seconds
from watchdog.ports.clock import Clock
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Readings
from watchdog.probes.readings import down, single
from watchdog.probes.requests import get
from watchdog.targets.http import HttpTarget

MAX_BODY = 65_536
"""Bytes; a health check's answer is not read further."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """What is asked.

    Attributes:
        path: Beneath the target's address.
        expect: Statuses that mean healthy; redirects are not followed.
    """

    path: str = "/health"
    expect: tuple[int, ...] = (200,)

    def __post_init__(self) -> None:
        if not self.expect or not all(100 <= status <= 599 for status in self.expect):
            raise ValueError("expect must name at least one HTTP status from 100 to 599")


@dataclass(frozen=True, kw_only=True)
class HttpRead:
    """Which side of the answer.

    Attributes:
        of: `status_ok` is 1 for an expected status, 0 for another or none; `seconds` is how long the answer took,
            its body included.
    """

    of: Literal["status_ok", "seconds"]


class HttpProbe:
    """Reads both signals from one request."""

    def __init__(self, target: HttpTarget, clock: Clock, options: HttpOptions, reads: Mapping[str, HttpRead]) -> None:
        self._target = target
        self._clock = clock
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """One request. No answer is a value of `status_ok` (0), and none of `seconds`.

        Raises:
            ProbeError: The target does not answer (unless `status_ok` was asked for), or cannot be asked at all.
        """
        started = self._clock.now()
        try:
            async with get(self._target, self._options.path) as response:
                length = 0
                async for chunk in response.aiter_raw():
                    length += len(chunk)
                    if length > MAX_BODY:
                        break
        except ProbeError as error:
            status = [name for name, read in self._reads.items() if read.of == "status_ok"]
            return down(status, self._reads.keys() - set(status), error)
        values = {
            "status_ok": float(response.status_code in self._options.expect),
            "seconds": in_seconds(self._clock.now() - started),
        }
        return {name: single(values[read.of]) for name, read in self._reads.items()}


def _build(role: str, options: HttpOptions, reads: Mapping[str, HttpRead], resources: Resources) -> HttpProbe:
    return HttpProbe(cast("HttpTarget", resources.target(role)), resources.clock, options, reads)


KIND: ProbeKind[HttpOptions, HttpRead] = ProbeKind(
    name="http",
    options=HttpOptions,
    read=HttpRead,
    targets=("http",),
    signal_kind=lambda _read: SignalKind.GAUGE,
    build=_build,
)
