"""HTTP services: one client, bounded answers, and what its errors mean."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from watchdog.model.time import SECOND, in_seconds
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind
from watchdog.targets.addresses import read_address

MAX_BODY = 4 * 1024 * 1024
"""Bytes of an answer that are read at most."""

_TIMEOUT = Duration(5 * SECOND)
_SCHEMES = frozenset({"http", "https"})


class HttpUnsentError(TargetError):
    """The request never reached the service."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """How to reach a service.

    Attributes:
        url: The base address, such as `http://127.0.0.1:8080`; paths of probes and steps are added to it.
        timeout: For connecting, and for each wait on the answer.
        headers: Sent with every request; values may be secret.
    """

    url: str
    timeout: Duration = _TIMEOUT
    headers: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: httpx.Headers
    body: bytes


class HttpTarget:
    """A service behind one address. Opens nothing before it is used."""

    kind = "http"

    def __init__(self, name: str, options: HttpOptions) -> None:
        self.name = name
        self._options = options
        self._client: httpx.AsyncClient | None = None

    @property
    def place(self) -> str:
        """The target's name and address as errors show them, without user and password."""
        try:
            address = read_address(self._options.url, _SCHEMES)
        except ValueError:
            return self.name
        return f"{self.name} ({address.host}:{address.port})" if address.port else f"{self.name} ({address.host})"

    def client(self) -> httpx.AsyncClient:
        """The client: the configured headers, no proxies of the environment, no redirects, few connections.

        It raises httpx's own errors; `translated` makes them ours.

        Raises:
            HttpUnsentError: The address is none.
        """
        if self._client is None:
            try:
                read_address(self._options.url, _SCHEMES)
            except ValueError:
                raise self._no_address() from None
            self._client = httpx.AsyncClient(
                base_url=self._options.url,
                verify=self._trust(),
                timeout=in_seconds(self._options.timeout),
                trust_env=False,
                follow_redirects=False,
                event_hooks={"request": [self._add_headers]},
                limits=httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=5),
            )
        return self._client

    def _trust(self) -> ssl.SSLContext | bool:
        """Whose certificates are trusted; True for those that come with httpx.

        Raises:
            TargetError: They cannot be read.
        """
        return True

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
    ) -> Answer:
        """One request, its answer read to at most `max_body` bytes.

        Raises:
            HttpUnsentError: The service was not reached, so it has seen nothing.
            TargetError: Anything else; the service may have acted on it.
        """
        with self.translated():
            async with self.client().stream(method, path, json=json, headers=headers) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > max_body:
                        raise TargetError(f"{self.place}{path} answers with more than {max_body} bytes.")
                return Answer(response.status_code, response.headers, bytes(body))

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns httpx's errors into ours."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise HttpUnsentError(
                f"{self.place} does not answer ({type(error).__name__}); check that it runs and its address.",
                retryable=True,
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise self._no_address() from None
        except httpx.HTTPError as error:
            raise TargetError(
                f"{self.place} broke off ({type(error).__name__}); its answer is not known.", retryable=True
            ) from None

    def _no_address(self) -> HttpUnsentError:
        return HttpUnsentError(
            f"The url of target {self.name} is no HTTP address; write http://host:port or https://host."
        )

    async def _add_headers(self, request: httpx.Request) -> None:
        for name, value in self._options.headers.items():
            request.headers.setdefault(name, value.reveal())

    async def close(self) -> None:
        """Lets go of every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _complaints(options: HttpOptions) -> Iterator[str]:
    try:
        read_address(options.url, _SCHEMES)
    except ValueError:
        yield "url: is no HTTP address; write http://host:port or https://host"


KIND: TargetKind[HttpOptions] = TargetKind("http", HttpOptions, HttpTarget, _complaints)
