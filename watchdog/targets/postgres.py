"""PostgreSQL: connections for looking and for acting, and what its errors mean."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from watchdog.model.time import MILLISECOND, SECOND, Span, in_seconds
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

LOCK_TIMEOUT: Span = 2 * SECOND
"""How long an acting session waits for any lock, unless its step says otherwise."""

_CONNECT_TIMEOUT = Duration(3 * SECOND)
_LOOK_TIMEOUT = Duration(5 * SECOND)
_ACT_TIMEOUT: Span = 60 * SECOND
_IDLE_IN_TRANSACTION: Span = 10 * SECOND
_POOL_SIZE = 2
# The network is given up after this; without it a silent peer holds a session for hours.
_TCP_USER_TIMEOUT_MS = 10_000
# A server that shuts down, was shot, or starts up.
_COMING_BACK = frozenset({"57P01", "57P02", "57P03"})
_RETRYABLE = re.compile("55P03|40P01|40001|57P0[123]|08...|53300")
_RACING_GRANT = "tuple concurrently updated"
# From the first quote to the last: a value may hold quotes.
_QUOTED = re.compile(r'".*"', re.DOTALL)
# Raised by functions and foreign servers (P0, HV, 38, 39), or quoting bytes of a value (22021, 22P05).
_QUOTES_ROWS = re.compile("(P0|HV|38|39)...|22021|22P05")
_PORTS = re.compile(r"[0-9,]*")
_LAST_PORT = 65535


class PostgresError(TargetError):
    """A PostgreSQL server refuses or does not answer.

    Attributes:
        sqlstate: Five characters, or empty when the server said nothing.
    """

    def __init__(self, message: str, *, sqlstate: str = "", retryable: bool = False, away: bool = False) -> None:
        super().__init__(message, retryable=retryable, away=away)
        self.sqlstate = sqlstate


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """How to reach a database.

    Attributes:
        url: `postgresql://user:password@host:port/database`; not through a transaction pooler, because sessions
            set timeouts that must not leak into sessions of others.
        connect_timeout: For each connection.
        statement_timeout: For each statement that only looks.
    """

    url: Secret
    connect_timeout: Duration = _CONNECT_TIMEOUT
    statement_timeout: Duration = _LOOK_TIMEOUT


class PostgresTarget:
    """A database. Opens nothing before it is used."""

    kind = "postgres"

    def __init__(self, name: str, options: PostgresOptions) -> None:
        self.name = name
        self._options = options
        self._slots = asyncio.Semaphore(_POOL_SIZE)
        self._idle: list[Connection] = []

    @property
    def place(self) -> str:
        """The target's name and address as errors show them, without user and password."""
        parts = self._parameters()
        return f"{self.name} ({parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')})"

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[Connection]:
        """A session that can only read; at most two at a time, kept open for the next use.

        Raises:
            PostgresError: The server cannot be reached or refuses; also for psycopg's errors out of the body.
        """
        async with self._slots:
            connection = await self._checked_out()
            try:
                with self.translated():
                    yield connection
            finally:
                if not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    await connection.close()

    @asynccontextmanager
    async def act(
        self, *, lock_timeout: Span = LOCK_TIMEOUT, statement_timeout: Span = _ACT_TIMEOUT, application: str = ""
    ) -> AsyncIterator[Connection]:
        """A session of its own for one step, in autocommit; whatever it left open is rolled back.

        Raises:
            PostgresError: The server cannot be reached or refuses; also for psycopg's errors out of the body.
        """
        settings = {
            "lock_timeout": lock_timeout,
            "statement_timeout": statement_timeout,
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION,
        }
        connection = await self._connect(application or f"watchdog/{self.name}", settings, read_only=False)
        try:
            with self.translated():
                yield connection
        finally:
            await _close(connection)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns psycopg's errors into ours. The original is dropped: its details quote rows."""
        try:
            yield
        except psycopg.Error as error:
            raise self.translate(error) from None

    def translate(self, error: psycopg.Error) -> PostgresError:
        """What an error of psycopg means, without values of rows and without the address's secrets."""
        sqlstate = error.sqlstate or ""
        text = error.diag.message_primary or str(error).strip() or type(error).__name__
        unreachable = isinstance(error, psycopg.OperationalError) and not sqlstate
        retryable = unreachable or bool(_RETRYABLE.fullmatch(sqlstate)) or _RACING_GRANT in text
        if unreachable:
            return PostgresError(
                f"{self.place} does not answer: {text}; check that it runs and that address and login are right.",
                away=True,
            )
        said = f"{self.place} says {sqlstate or 'an error'}{_spoken(error, text)}"
        return PostgresError(said, sqlstate=sqlstate, retryable=retryable, away=sqlstate in _COMING_BACK)

    async def close(self) -> None:
        """Lets go of every connection that waits for its next use."""
        while self._idle:
            await self._idle.pop().close()

    async def _checked_out(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                async with asyncio.timeout(in_seconds(self._options.connect_timeout)):
                    await connection.execute(b"")
            except (psycopg.Error, TimeoutError):
                await connection.close()
            else:
                return connection
        settings = {"statement_timeout": self._options.statement_timeout, "lock_timeout": LOCK_TIMEOUT}
        return await self._connect(f"watchdog/{self.name}", settings, read_only=True)

    async def _connect(self, application: str, settings: dict[str, Span], *, read_only: bool) -> Connection:
        parameters = self._parameters()
        # In the start packet, so that a pooler which cannot keep them refuses instead of leaking them to others.
        options = [
            str(parameters.get("options", "")),
            f"-c default_transaction_read_only={'on' if read_only else 'off'}",
        ]
        options += [f"-c {name}={max(1, length // MILLISECOND)}" for name, length in settings.items()]
        options.append("-c client_connection_check_interval=1000")
        parameters |= {
            "options": " ".join(options).strip(),
            "application_name": application.encode()[:63].decode(errors="ignore"),
            "connect_timeout": max(2, math.ceil(in_seconds(self._options.connect_timeout))),
            "tcp_user_timeout": _TCP_USER_TIMEOUT_MS,
        }
        with self.translated():
            return await psycopg.AsyncConnection.connect(
                autocommit=True,
                prepare_threshold=None,
                **parameters,  # type: ignore[arg-type] # psycopg types its own keywords and libpq's alike
            )

    def _parameters(self) -> dict[str, str | int | None]:
        try:
            parameters = dict(conninfo_to_dict(self._options.url.reveal()))
        except psycopg.ProgrammingError:
            raise self._no_address() from None
        if _misread(parameters):
            raise self._no_address()
        return parameters

    def _no_address(self) -> PostgresError:
        return PostgresError(
            f"The url of target {self.name} is no PostgreSQL address; write "
            "postgresql://user:password@host:port/database, with special characters percent-encoded."
        )


def _misread(parameters: Mapping[str, str | int | None]) -> bool:
    """Whether a password with a bare `@`, `/`, `?` or `#` has been read as part of host, port or database."""
    host, port, database = (str(parameters.get(name) or "") for name in ("host", "port", "dbname"))
    odd_host = any("/" in one and not one.startswith("/") for one in host.split(","))
    return odd_host or "@" in host + database or "/" in database or not _PORTS.fullmatch(port)


def _spoken(error: psycopg.Error, text: str) -> str:
    """The part of the server's words that quotes no row, with what leads to it."""
    sqlstate = error.sqlstate or ""
    if isinstance(error, psycopg.DataError) and not sqlstate:
        return f": {type(error).__name__}"  # psycopg's own: quotes what it cannot read
    # RAISE writes any text under any SQLSTATE.
    raised = error.diag.source_function == "exec_stmt_raise"
    if raised or _QUOTES_ROWS.fullmatch(sqlstate) or (sqlstate and not _is_known(sqlstate)):
        return " (the server's log has its text, which may quote rows)"
    return ": " + (_QUOTED.sub('"…"', text) if sqlstate.startswith("22") else text)


def _is_known(sqlstate: str) -> bool:
    try:
        psycopg.errors.lookup(sqlstate)
    except KeyError:
        return False
    return True


async def _close(connection: Connection) -> None:
    """Rolls back first where that is still possible, so that no lock outlives the step."""
    try:
        if connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            with suppress(psycopg.Error):
                await connection.rollback()
    finally:
        await connection.close()


def _complaints(options: PostgresOptions) -> Iterator[str]:
    try:
        parameters = conninfo_to_dict(options.url.reveal())
    except psycopg.ProgrammingError:
        parameters = {}
    ports = [port for port in str(parameters.get("port", "")).split(",") if port]
    if not parameters or _misread(parameters) or any(not 0 < int(port) <= _LAST_PORT for port in ports):
        yield (
            "url: is no PostgreSQL address; write postgresql://user:password@host:port/database, "
            "with special characters percent-encoded"
        )


KIND: TargetKind[PostgresOptions] = TargetKind("postgres", PostgresOptions, PostgresTarget, _complaints)
