"""What operators and the watchdog ask: health, metrics, version, flags. None of it is counted as a request."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from watchdog.demo.service.context import SERVICE, Service
from watchdog.demo.service.errors import StoreError

HEALTH_TIMEOUT_S = 2.0


async def health(request: web.Request) -> web.Response:
    """GET /health: 200, or 503 naming the stores that fail."""
    service = request.app[SERVICE]
    checks: dict[str, Callable[[Service], Awaitable[object]]] = {
        "postgres": lambda s: s.stores.rows("SELECT 1"),
        "redis": lambda s: s.stores.redis.ping(),
        "neo4j": lambda s: s.stores.nodes("RETURN 1 AS one"),
    }
    results = await asyncio.gather(*(_answers(check(service)) for check in checks.values()))
    failing = [name for name, good in zip(checks, results, strict=True) if not good]
    if failing:
        body = {"status": "failing", "stores": failing, "version": service.version}
        return web.json_response(body, status=503)
    return web.json_response({"status": "ok", "version": service.version})


async def _answers(check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            await check
    except (*StoreError, TimeoutError):
        return False
    return True


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: the Prometheus text page."""
    page = request.app[SERVICE].metrics.page()
    return web.Response(body=page, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def version(request: web.Request) -> web.Response:
    """GET /version."""
    return web.json_response({"version": request.app[SERVICE].version})


async def flags(request: web.Request) -> web.Response:
    """GET /flags: as this process sees them now, so that propagation can be verified."""
    return web.json_response(dict(await request.app[SERVICE].flags.view()))
