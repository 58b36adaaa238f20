"""What stands before the sample service while a canary runs: one address, a share of the traffic to the new version.

`/metrics` shows every version's series together, as an ingress or a mesh does.
"""

from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families

PARTS: Final = 20
"""A share is a number of twentieths: 0.05 is one request in twenty."""
_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


class Gateway:
    """Forwards requests on loopback.

    Attributes:
        share: Of the requests that go to the canary (0.0 to 1.0), in steps of 0.05.
    """

    def __init__(self, stable: str) -> None:
        self._stable = stable
        self._canary = ""
        self.share = 0.0
        self._count = 0
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens on a free port."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/flags", self._flags)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops listening; may be called twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._http is not None:
            await self._http.close()
            self._http = None

    def begin_canary(self, url: str, share: float) -> None:
        """From now on a share of the requests goes to this address."""
        self._canary, self.share = url, share

    async def _forward(self, request: web.Request) -> web.Response:
        served = request.path not in {"/health", "/version"}
        self._count += served
        canary = served and self._count % PARTS < round(self.share * PARTS)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        return await self._ask(self._canary if canary else self._stable, request, headers)

    async def _flags(self, request: web.Request) -> web.Response:
        """As the version sees them that has the feature."""
        return await self._ask(self._canary or self._stable, request, {})

    async def _ask(self, to: str, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        try:
            async with self._session.request(
                request.method, f"{to}{request.path_qs}", headers=headers, data=await request.read()
            ) as answer:
                kept = CIMultiDict((n, v) for n, v in answer.headers.items() if n.lower() not in _HOP_BY_HOP)
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except (aiohttp.ClientError, TimeoutError):
            return web.json_response({"error": "no answer"}, status=502)

    async def _metrics(self, _request: web.Request) -> web.Response:
        pages = []
        for to in filter(None, (self._stable, self._canary)):
            async with self._session.get(f"{to}/metrics") as answer:
                pages.append(await answer.text())
        return web.Response(text=merged(pages), content_type="text/plain")

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the gateway is not started")
        return self._http


def merged(pages: list[str]) -> str:
    """Prometheus text pages as one: series of the same name and labels are summed."""
    kinds: dict[str, str] = {}
    series: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            kinds[family.name] = family.type
            samples = series.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                samples[key] = samples.get(key, 0.0) + sample.value
    lines: list[str] = []
    for name, samples in series.items():
        suffix = "_total" if kinds[name] == "counter" else ""
        lines.append(f"# TYPE {name}{suffix} {kinds[name]}")
        lines += [f"{sample}{_labels(labels)} {value}" for (sample, labels), value in samples.items()]
    return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    escaped = ((name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}" if labels else ""
