"""Slack's limit on posting: about one message a second a channel, with short bursts allowed."""

import math
from collections.abc import Callable

from watchdog.doubles.slack.errors import SlackError

_SECOND = 1_000_000_000


class MessageRate:
    """A token bucket for each channel."""

    def __init__(self, clock: Callable[[], int], *, per_second: float = 1.0, burst: int = 3) -> None:
        """Allow `burst` messages at once and `per_second` after that; `clock` gives nanoseconds."""
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, int]] = {}

    def take(self, channel_id: str) -> None:
        """Count one message.

        Raises:
            SlackError: `ratelimited`, with the seconds to wait.
        """
        now = self._clock()
        tokens, at = self._buckets.get(channel_id, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - at) / _SECOND * self._per_second)
        if tokens < 1:
            self._buckets[channel_id] = (tokens, now)
            wait = math.ceil((1 - tokens) / self._per_second)
            raise SlackError("ratelimited", status=429, retry_after=wait)
        self._buckets[channel_id] = (tokens - 1, now)
