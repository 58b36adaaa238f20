"""Kubernetes API servers: one client, who we are, bounded answers, and what refusals mean."""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from watchdog.model.time import SECOND
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind
from watchdog.targets.addresses import read_address
from watchdog.targets.http import HttpOptions, HttpTarget

_TIMEOUT: Final = Duration(5 * SECOND)
_SCHEMES: Final = frozenset({"http", "https"})
_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class ForbiddenError(TargetError):
    """The API server knows us, and we may not do this."""


class AbsentError(TargetError):
    """There is no such object."""


@dataclass(frozen=True, kw_only=True)
class KubernetesOptions:
    """How to reach an API server.

    Attributes:
        url: Such as `https://10.0.0.1:6443`.
        token: Of a service account; read again for every request, as it is renewed.
        namespace: The only one that is looked at.
        ca: A file with the certificates that the server's is checked by; without it those of the system.
        timeout: For connecting, and for each wait on the answer.
    """

    url: str
    token: Secret
    namespace: str = "default"
    ca: str = ""
    timeout: Duration = _TIMEOUT


@dataclass(frozen=True)
class _Bearer:
    token: Secret

    def reveal(self) -> str:
        """The header's value; a file of a token may end with a line break."""
        return f"Bearer {self.token.reveal().strip()}"


class KubernetesTarget(HttpTarget):
    """One namespace behind an API server. Opens nothing before it is used."""

    kind = "kubernetes"

    def __init__(self, name: str, options: KubernetesOptions) -> None:
        headers: Mapping[str, Secret] = {"Authorization": _Bearer(options.token)}
        super().__init__(name, HttpOptions(url=options.url, timeout=options.timeout, headers=headers))
        self.namespace = options.namespace
        self._ca = options.ca

    async def get(self, path: str, what: str) -> Any:
        """One object.

        Args:
            path: Below the address.
            what: What is read, as a person says it: `deployments.apps api`.

        Raises:
            ForbiddenError: The account may not.
            AbsentError: There is none.
            TargetError: The server cannot be reached, does not take the token, or makes no sense.
        """
        answer = await self.request("GET", path, headers={"Accept": "application/json"})
        place = f"{what} in namespace {self.namespace}"
        match answer.status:
            case 200:
                return self._read(answer.body, place)
            case 401:
                raise TargetError(f"{self.place} does not take the token (401) to `get` {place}; has it expired?")
            case 403:
                raise ForbiddenError(f"{self.place} forbids to `get` {place} (403); a Role must allow the verb `get`.")
            case 404:
                raise AbsentError(f"{self.place} has no {place} (404); check the name and the namespace")
            case status:
                wait = status == 429 or status >= 500
                raise TargetError(f"{self.place} answers {status} for {place}.", retryable=wait)

    def _read(self, body: bytes, place: str) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise TargetError(f"{self.place} answers for {place} with what is no JSON; is it an API server?") from None

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca or None)
        except OSError as error:  # also ssl.SSLError
            raise TargetError(
                f"The certificates of target {self.name} cannot be read from {self._ca} ({error.strerror}); check `ca`."
            ) from None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns httpx's errors into ours."""
        with super().translated():
            try:
                yield
            except httpx.ConnectError as error:
                if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                    raise
                raise TargetError(f"{self.place} has a certificate that is not trusted; set `ca` to its CA.") from None


def _complaints(options: KubernetesOptions) -> Iterator[str]:
    try:
        address = read_address(options.url, _SCHEMES)
    except ValueError:
        yield "url: is no address of an API server; write https://host:6443"
        return
    if options.url.startswith("http:") and address.host not in _HERE:
        yield "url: would send the token in the clear; write https://host:6443"
    if not _NAMESPACE.fullmatch(options.namespace):
        yield "namespace: is no name of a namespace; write small letters, digits and `-`, at most 63"


KIND: TargetKind[KubernetesOptions] = TargetKind("kubernetes", KubernetesOptions, KubernetesTarget, _complaints)
