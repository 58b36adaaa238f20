"""Every endpoint behind one name: the name is resolved at each reading, and each address asked by itself."""

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Final, TypeAlias

import httpx

from watchdog.model.signals import Cause, Labels, Missing
from watchdog.model.time import Span, in_seconds
from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.readings import no_answer, single
from watchdog.targets.http import HttpTarget

LABEL: Final = "endpoint"
MOST: Final = 100
"""Addresses that are asked, the first in order: a name with more is no service."""
AT_ONCE: Final = 20
"""Endpoints that are asked at the same time."""
MAX_SERIES: Final = 2_000
"""More series of one signal than this, over all endpoints, are a mistake."""
_PORTS: Final = {"http": 80, "https": 443}

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and port. It raises an `OSError`, or a `UnicodeError` for what is no name."""
Read: TypeAlias = Callable[[httpx.Response], Awaitable[Readings]]
"""The readings of one endpoint out of its answer. It raises a `ProbeError` when that makes no sense."""
Answer: TypeAlias = Readings | ProbeError


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says: every A and AAAA record.

    Raises:
        OSError: The name has no address.
        UnicodeError: It is no name.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that a target of kind http trusts; made once, since that takes a while."""
    return httpx.create_ssl_context(trust_env=False)


class Endpoints:
    """The endpoints behind a target's name."""

    def __init__(
        self, target: HttpTarget, path: str, headers: Mapping[str, str], resolve: Resolve = addresses_of
    ) -> None:
        self._target = target
        self._path = path
        self._headers = headers
        self._resolve = resolve
        self._known: dict[str, dict[str, tuple[Labels, ...]]] = {}

    async def read(self, read: Read, within: Span) -> Readings:
        """One reading of every endpoint, each series with the label `endpoint`.

        An endpoint without an answer has no values for its own series; one that is not behind the name any more is
        not mentioned.

        Raises:
            ProbeError: The name has no address, or no endpoint answers; says why the first does not.
        """
        deadline = asyncio.get_running_loop().time() + in_seconds(within)
        try:
            base = self._target.client().base_url
        except WatchdogError as error:
            raise no_answer(error) from error
        port = base.port or _PORTS[base.scheme]
        addresses = await self._addresses(base.host, port, deadline)
        named = {f"[{one}]:{port}" if ":" in one else f"{one}:{port}": one for one in addresses}
        answers = await self._ask(base, named, read, deadline)
        failures = [answer for answer in answers.values() if isinstance(answer, ProbeError)]
        if len(failures) == len(answers):
            more = f" (and none of {len(answers) - 1} other endpoints does)" if len(answers) > 1 else ""
            raise ProbeError(failures[0].cause, f"{failures[0]}{more}")
        return self._together(answers)

    async def _addresses(self, host: str, port: int, deadline: float) -> list[str]:
        try:
            async with asyncio.timeout_at(deadline):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise self._unreachable("its name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise self._unreachable(f"its name cannot be resolved ({type(error).__name__})") from error
        if not found:
            raise self._unreachable("its name has no address")
        return sorted(set(found))[:MOST]

    def _unreachable(self, why: str) -> ProbeError:
        return ProbeError(Cause.UNREACHABLE, f"target {self._target.place}: {why}")

    async def _ask(
        self, base: httpx.URL, named: Mapping[str, str], read: Read, deadline: float
    ) -> Mapping[str, Answer]:
        """Every endpoint's answer. Each round of them has its share of the time: those that hang starve no other."""
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        share = left / math.ceil(len(named) / AT_ONCE)
        free = asyncio.Semaphore(AT_ONCE)
        async with self._client() as client:

            async def ask(endpoint: str, address: str) -> Answer:
                async with free:
                    try:
                        async with asyncio.timeout(share):
                            return await self._one(client, base, address, read)
                    except TimeoutError:
                        return self._failed(endpoint, Cause.UNREACHABLE, f"no answer in {share:.3g} s")
                    except ProbeError as error:
                        return self._failed(endpoint, error.cause, str(error))

            asked = [ask(endpoint, address) for endpoint, address in named.items()]
            return dict(zip(named, await asyncio.gather(*asked), strict=True))

    def _failed(self, endpoint: str, cause: Cause, why: str) -> ProbeError:
        return ProbeError(cause, f"endpoint {endpoint}: {why}")

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        """As the target's own, but with room for all, and with connections that end with the reading."""
        own = self._target.client()
        async with httpx.AsyncClient(
            verify=trusted(),
            timeout=own.timeout,
            trust_env=False,
            follow_redirects=False,
            event_hooks=own.event_hooks,
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0),
        ) as client:
            yield client

    async def _one(self, client: httpx.AsyncClient, base: httpx.URL, address: str, read: Read) -> Readings:
        """The answer of one address, asked for by the service's name: header `Host`, name of the certificate."""
        path = base.raw_path + self._path.lstrip("/").encode()
        headers = {"Host": base.netloc.decode("ascii"), **self._headers}
        try:
            with self._target.translated():
                url = base.copy_with(host=address, raw_path=path)
                extensions = {"sni_hostname": base.raw_host.decode("ascii")}
                async with client.stream("GET", url, headers=headers, extensions=extensions) as response:
                    return await read(response)
        except ProbeError:
            raise
        except WatchdogError as error:
            raise no_answer(error) from error

    def _together(self, answers: Mapping[str, Answer]) -> Readings:
        """All series; what an endpoint has no value for is missing in those series that it had before."""
        self._known = {endpoint: self._known.get(endpoint, {}) for endpoint in answers}
        names = dict.fromkeys(
            name for answer in answers.values() if not isinstance(answer, ProbeError) for name in answer
        )
        together: dict[str, Mapping[Labels, Reading]] = {}
        for name in names:
            found: dict[Labels, Reading] = {}
            for endpoint, answer in answers.items():
                found |= self._of(endpoint, name, answer)
            together[name] = found if len(found) <= MAX_SERIES else single(_too_many(name, len(found)))
        return together

    def _of(self, endpoint: str, name: str, answer: Answer) -> Mapping[Labels, Reading]:
        """The series of one endpoint."""
        said = {(): Missing(answer.cause, str(answer))} if isinstance(answer, ProbeError) else answer[name]
        alone = said.get(())
        if isinstance(alone, Missing):
            known = self._known[endpoint].get(name, (_labelled((), endpoint),))
            return dict.fromkeys(known, alone)
        found = {_labelled(labels, endpoint): value for labels, value in said.items()}
        self._known[endpoint][name] = tuple(found)
        return found


def _labelled(labels: Labels, endpoint: str) -> Labels:
    return tuple(sorted((*labels, (LABEL, endpoint))))


def _too_many(name: str, count: int) -> Missing:
    return Missing(
        Cause.PROBE_BROKEN,
        f"{name} has {count} series over all endpoints, more than {MAX_SERIES}; split by fewer labels",
    )
