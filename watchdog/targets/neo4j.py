"""Neo4j: one driver, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import neo4j
from neo4j import exceptions
from neo4j.auth_management import AsyncAuthManagers

from watchdog.model.time import SECOND, in_seconds
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind
from watchdog.targets.addresses import Address, read_address

_TIMEOUT = Duration(5 * SECOND)
_CONNECTIONS = 4
_SCHEMES = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})


@dataclass(frozen=True, kw_only=True)
class Neo4jOptions:
    """How to reach a graph database.

    Attributes:
        url: `bolt://host:port` or `neo4j://host:port`, with `+s` for TLS.
        timeout: For connecting and for getting a connection.
    """

    url: str
    user: str
    password: Secret
    database: str = "neo4j"
    timeout: Duration = _TIMEOUT


class Neo4jTarget:
    """A graph database. Opens nothing before it is used."""

    kind = "neo4j"

    def __init__(self, name: str, options: Neo4jOptions) -> None:
        self.name = name
        self._options = options
        self._driver: neo4j.AsyncDriver | None = None

    @property
    def place(self) -> str:
        """The target's name and address as errors show them."""
        try:
            address = _address(self._options.url)
        except ValueError:
            return self.name
        return f"{self.name} ({address.host}:{address.port or 7687}/{self._options.database})"

    def session(self, **config: Any) -> neo4j.AsyncSession:
        """A session on the target's database; `config` is the driver's. It raises the driver's own errors."""
        return self._open().session(database=self._options.database, **config)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the driver's errors into ours."""
        try:
            yield
        except (exceptions.Neo4jError, exceptions.DriverError, OSError) as error:
            raise self.translate(error) from None

    def translate(self, error: exceptions.Neo4jError | exceptions.DriverError | OSError) -> TargetError:
        """What an error of the driver means. Only errors in the text of a statement are quoted: others show values."""
        if isinstance(error, exceptions.AuthError):
            return TargetError(f"{self.place} refuses the login ({error.code}); check user and password.")
        if isinstance(error, exceptions.ServiceUnavailable | exceptions.SessionExpired | OSError):
            return TargetError(
                f"{self.place} does not answer ({type(error).__name__}); check that it runs and its address.",
                away=True,
            )
        if isinstance(error, exceptions.Neo4jError):
            code = error.code or "an error"
            first = (error.message or "").partition("\n")[0]
            text = f": {first}" if code.startswith("Neo.ClientError.Statement.Syntax") else ""
            return TargetError(f"{self.place} says {code}{text}", retryable=error.is_retryable())
        return TargetError(f"{self.place}: {type(error).__name__}; try the statement by hand.", retryable=True)

    async def close(self) -> None:
        """Lets go of every connection."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    def _open(self) -> neo4j.AsyncDriver:
        if self._driver is None:
            seconds = in_seconds(self._options.timeout)
            try:
                _address(self._options.url)
                self._driver = neo4j.AsyncGraphDatabase.driver(
                    self._options.url,
                    auth=AsyncAuthManagers.basic(self._login),
                    max_connection_pool_size=_CONNECTIONS,
                    connection_timeout=seconds,
                    connection_acquisition_timeout=seconds,
                    max_transaction_retry_time=0,
                    keep_alive=True,
                    user_agent="migration-watchdog",
                    notifications_min_severity="OFF",
                )
            except (exceptions.ConfigurationError, ValueError):
                raise self._no_address() from None
        return self._driver

    def _no_address(self) -> TargetError:
        return TargetError(
            f"The url of target {self.name} is no Neo4j address; write bolt://host:port or neo4j://host:port."
        )

    async def _login(self) -> tuple[str, str]:
        return self._options.user, self._options.password.reveal()


def _address(url: str) -> Address:
    address = read_address(url, _SCHEMES)
    if "@" in address.path:
        raise ValueError("a password's special characters must be percent-encoded")
    return address


def _complaints(options: Neo4jOptions) -> Iterator[str]:
    try:
        _address(options.url)
    except ValueError:
        yield "url: is no Neo4j address; write bolt://host:port or neo4j://host:port"


KIND: TargetKind[Neo4jOptions] = TargetKind("neo4j", Neo4jOptions, Neo4jTarget, _complaints)
