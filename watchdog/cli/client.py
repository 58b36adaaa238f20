"""Talks to the running daemon over its Unix socket."""

import getpass
import os
import socket as sockets
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from watchdog.cli.places import places
from watchdog.ports.errors import WatchdogError

TIMEOUT_SECONDS: Final = 60.0
WHO_HEADER: Final = b"X-Watchdog-Who"


class DaemonDownError(WatchdogError):
    """No daemon answers."""


class AnswerError(WatchdogError):
    """The daemon answers that it will not.

    Attributes:
        exit_status: 2 when what was said makes no sense, else 1.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_status = 2 if status == httpx.codes.UNPROCESSABLE_ENTITY else 1


def who() -> str:
    """The person at this terminal, as the record names them: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{sockets.gethostname()}"


class Daemon:
    """The running daemon of a configuration."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket.absolute())),
            base_url="http://watchdog",
            headers={WHO_HEADER: who().encode()},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    @classmethod
    def of(cls, config: Path, socket: Path | None) -> "Daemon":
        """The daemon at a socket, or the one of a configuration.

        Raises:
            PlacesError: The configuration does not say where it is.
        """
        return cls(socket if socket is not None else places(config).socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def status(self) -> dict[str, Any]:
        """Every guard.

        Raises:
            DaemonDownError: Nobody answers.
        """
        return self._ask("GET", "/v1/status")

    def get(self, guard: str, path: str = "", **query: int) -> dict[str, Any]:
        """Something about a guard.

        Raises:
            DaemonDownError: Nobody answers.
            AnswerError: There is no such thing.
        """
        return self._ask("GET", _path(guard, path), params=query)

    def post(self, guard: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Says something to a guard; None in the body is left out.

        Raises:
            DaemonDownError: Nobody answers.
            AnswerError: It is refused; says why.
        """
        said = {key: value for key, value in (body or {}).items() if value is not None}
        return self._ask("POST", _path(guard, verb), json=said)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        self._knock()
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TimeoutException as error:
            raise DaemonDownError(
                f"the daemon at {self._socket} has not answered in {TIMEOUT_SECONDS:.0f} s; its log says what it does"
            ) from error
        except httpx.TransportError as error:
            raise DaemonDownError(
                f"the daemon at {self._socket} broke off; its log says why, and `watchdog status` what was done"
            ) from error
        if answer.is_error:
            raise AnswerError(_error(answer), answer.status_code)
        found: dict[str, Any] = answer.json()
        return found

    def _knock(self) -> None:
        """Finds out whether anybody is there before anything is said."""
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as knock:
            knock.settimeout(TIMEOUT_SECONDS)
            try:
                knock.connect(str(self._socket.absolute()))
            except PermissionError as error:
                raise DaemonDownError(
                    f"{self._socket} may not be opened by this user: run this as the daemon's user"
                ) from error
            except OSError as error:
                raise DaemonDownError(f"no daemon answers at {self._socket}: start one with `watchdog run`") from error


def _path(guard: str, rest: str) -> str:
    path = f"/v1/guards/{quote(guard, safe='')}"
    return f"{path}/{rest}" if rest else path


def _error(answer: httpx.Response) -> str:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        return str(said["error"])
    return f"the daemon answers with status {answer.status_code}; its log says why"
