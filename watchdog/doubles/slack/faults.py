"""Faults on demand: what the next calls and envelopes run into."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

ANY_METHOD = "*"
LONGEST_SECONDS = 3600


class Kind(StrEnum):
    """What goes wrong. Only `slow` and `reset_after_commit` let the call take effect."""

    RATE_LIMITED = "rate_limited"
    STATUS = "status"
    HTML = "html"
    ERROR = "error"
    SLOW = "slow"
    RESET_BEFORE = "reset_before"
    RESET_AFTER_COMMIT = "reset_after_commit"


@dataclass(frozen=True, slots=True)
class Fault:
    """What the next `times` calls of `method` meet.

    `status` is the HTTP status of `status` and `html`; `seconds` the wait of `slow` and the Retry-After of
    `rate_limited`; `error` Slack's error code for `error`.
    """

    method: str
    kind: Kind
    times: int = 1
    status: int = 500
    seconds: float = 1.0
    error: str = "internal_error"


class Faults:
    """The faults still to come, in the order in which they were asked for; `"*"` stands for every method."""

    def __init__(self, disconnect: Callable[[str], Awaitable[int]], drop: Callable[[], int]) -> None:
        """`disconnect` and `drop` act on the open sockets and say on how many."""
        self._disconnect = disconnect
        self._drop = drop
        self._faults: list[Fault] = []
        self._duplicates = 0
        self._late: list[float] = []

    @property
    def pending(self) -> tuple[Fault, ...]:
        """What has not happened yet."""
        return tuple(self._faults)

    def add(self, fault: Fault) -> None:
        """Any fault.

        Raises:
            ValueError: it would never happen, or cannot be sent as HTTP.
        """
        if fault.times < 1:
            raise ValueError(f"a fault of {fault.method} must happen at least once, not {fault.times} times")
        if not 200 <= fault.status <= 599:
            raise ValueError(f"HTTP has no status {fault.status}; use 200 to 599")
        if not 0 <= fault.seconds <= LONGEST_SECONDS:
            raise ValueError(f"{fault.seconds} seconds is not within 0 to {LONGEST_SECONDS}")
        self._faults.append(fault)

    def rate_limited(self, method: str, *, times: int = 1, retry_after: int = 1) -> None:
        """HTTP 429 with Retry-After in seconds."""
        self.add(Fault(method, Kind.RATE_LIMITED, times, seconds=retry_after))

    def status(self, method: str, status: int, *, times: int = 1) -> None:
        """An HTTP error without effect: JSON with 500, the HTML of a proxy with others."""
        self.add(Fault(method, Kind.STATUS, times, status=status))

    def html(self, method: str, *, status: int = 200, times: int = 1) -> None:
        """An HTML page where JSON belongs."""
        self.add(Fault(method, Kind.HTML, times, status=status))

    def error(self, method: str, code: str, *, times: int = 1) -> None:
        """`{"ok": false, "error": code}`."""
        self.add(Fault(method, Kind.ERROR, times, error=code))

    def slow(self, method: str, seconds: float, *, times: int = 1) -> None:
        """The call takes effect at once, its answer comes `seconds` later."""
        self.add(Fault(method, Kind.SLOW, times, seconds=seconds))

    def reset_before(self, method: str, *, times: int = 1) -> None:
        """The connection is cut; nothing has happened."""
        self.add(Fault(method, Kind.RESET_BEFORE, times))

    def reset_after_commit(self, method: str, *, times: int = 1) -> None:
        """The call takes effect, then the connection is cut without an answer."""
        self.add(Fault(method, Kind.RESET_AFTER_COMMIT, times))

    def duplicate_envelopes(self, times: int = 1) -> None:
        """The next `times` envelopes are delivered twice, with the same id."""
        self._duplicates += times

    def late_envelopes(self, seconds: float, times: int = 1) -> None:
        """The next `times` envelopes are held back for `seconds`.

        Raises:
            ValueError: `seconds` is not within an hour.
        """
        if not 0 <= seconds <= LONGEST_SECONDS:
            raise ValueError(f"{seconds} seconds is not within 0 to {LONGEST_SECONDS}")
        self._late += [seconds] * times

    async def disconnect_all(self, reason: str = "refresh_requested") -> int:
        """Ask every socket to reconnect, as Slack does when it refreshes; how many were asked."""
        return await self._disconnect(reason)

    def drop_all(self) -> int:
        """Cut every socket without a word; how many were cut."""
        return self._drop()

    def clear(self) -> None:
        """Forget what has not happened yet."""
        self._faults.clear()
        self._duplicates = 0
        self._late.clear()

    def take(self, method: str) -> Fault | None:
        """The fault that this call of `method` meets, now counted as happened."""
        for place, fault in enumerate(self._faults):
            if fault.method in {method, ANY_METHOD}:
                if fault.times > 1:
                    self._faults[place] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[place]
                return fault
        return None

    def take_duplicate(self) -> bool:
        """Whether this envelope is to be delivered twice."""
        if self._duplicates == 0:
            return False
        self._duplicates -= 1
        return True

    def take_delay(self) -> float:
        """Seconds to hold this envelope back."""
        return self._late.pop(0) if self._late else 0.0
