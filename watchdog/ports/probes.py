"""A probe reads one target."""

from collections.abc import Mapping
from typing import Protocol

from watchdog.model.signals import Histogram, Labels, Missing


class Probe(Protocol):
    """Reads one target and answers for every signal it was asked for.

    A probe never raises for what its target says: it raises `ProbeError` when the whole reading failed, and puts
    `Missing` where a single signal has no value. The runtime stamps the time and enforces the timeout.
    """

    async def read(self) -> "Readings":
        """One reading.

        Raises:
            ProbeError: With the cause, when nothing could be read.
        """
        ...


Reading = float | Histogram | Missing
Readings = Mapping[str, Mapping[Labels, Reading]]
"""By signal name, then by labels; `()` for a signal that is not split."""
