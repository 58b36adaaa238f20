"""Redis: one client, and what its errors mean."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from watchdog.model.time import SECOND, in_seconds
from watchdog.ports.errors import FencedError, TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind
from watchdog.targets.addresses import Address, read_address

_TIMEOUT = Duration(3 * SECOND)
_CONNECTIONS = 4
_SCHEMES = frozenset({"redis", "rediss"})

# Fence and effect in one script, which Redis runs alone: a holder of an older epoch deletes nothing.
_FENCED_UNLINK = """
local held = tonumber(redis.call('GET', KEYS[1]) or '0')
if held > tonumber(ARGV[1]) then return -1 - held end
redis.call('SET', KEYS[1], ARGV[1])
if #KEYS == 1 then return 0 end
return redis.call('UNLINK', unpack(KEYS, 2))
"""


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    """How to reach a Redis server.

    Attributes:
        url: `redis://user:password@host:port/db` or `rediss://…`.
        timeout: For connecting and for each command.
    """

    url: Secret
    timeout: Duration = _TIMEOUT


class RedisTarget:
    """A Redis database. Opens nothing before it is used."""

    kind = "redis"

    def __init__(self, name: str, options: RedisOptions) -> None:
        self.name = name
        self._options = options
        self._client: redis.asyncio.Redis | None = None
        self._url = ""

    @property
    def place(self) -> str:
        """The target's name and address as errors show them, without user and password."""
        try:
            address = _address(self._options.url.reveal())
        except ValueError:
            return self.name
        return f"{self.name} ({address.host}:{address.port or 6379}/{address.path or 0})"

    def client(self) -> redis.asyncio.Redis:
        """The client; answers are bytes. It raises redis-py's own errors; `translated` makes them ours.

        Raises:
            TargetError: The address is none.
        """
        url = self._options.url.reveal()
        if self._client is None or url != self._url:  # a secret may have been rotated
            self._client, self._url = self._open(url), url
        return self._client

    async def unlink(self, guard: str, epoch: int, keys: Sequence[bytes]) -> int:
        """Deletes keys as the holder of an epoch; returns how many there were.

        Raises:
            FencedError: Somebody with a higher epoch acts; nothing was deleted.
            TargetError: Redis refuses or does not answer.
        """
        with self.translated():
            script = self.client().register_script(_FENCED_UNLINK)
            removed = int(await script(keys=[f"watchdog:fence:{guard}", *keys], args=[epoch]))
        if removed < 0:
            raise FencedError(
                f"Guard {guard} is held with epoch {-1 - removed} now, ours is {epoch}; nothing was done."
            )
        return removed

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the client's errors into ours."""
        try:
            yield
        except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
            raise TargetError(f"{self.place} refuses the login: {_words(error)}; check user and password.") from None
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            # The client's own text may quote the address as it was given.
            reason = "timed out" if isinstance(error, exceptions.TimeoutError) else type(error).__name__
            raise TargetError(
                f"{self.place} does not answer ({reason}); check that it runs and that the address is right.",
                away=True,
            ) from None
        except exceptions.RedisError as error:
            raise TargetError(f"{self.place} says: {_words(error)}") from None

    async def close(self) -> None:
        """Lets go of every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self, url: str) -> redis.asyncio.Redis:
        seconds = in_seconds(self._options.timeout)
        try:
            _address(url)
            return redis.asyncio.Redis.from_url(
                url,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                max_connections=_CONNECTIONS,
                decode_responses=False,
                client_name="watchdog",
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise TargetError(
                f"The url of target {self.name} is no Redis address; write redis://user:password@host:port/db, "
                "with special characters percent-encoded."
            ) from None


def _address(url: str) -> Address:
    address = read_address(url, _SCHEMES)
    if address.path and not address.path.isdecimal():
        raise ValueError("a database of Redis is a number")
    return address


def _words(error: exceptions.RedisError) -> str:
    """The server's error code and first words; later ones may quote keys."""
    return " ".join(str(error).split()[:12])


def _complaints(options: RedisOptions) -> Iterator[str]:
    try:
        _address(options.url.reveal())
    except ValueError:
        yield (
            "url: is no Redis address; write redis://user:password@host:port/db, "
            "with special characters percent-encoded"
        )


KIND: TargetKind[RedisOptions] = TargetKind("redis", RedisOptions, RedisTarget, _complaints)
