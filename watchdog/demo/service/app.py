"""The web application: routes by version, one middleware that times, counts and turns errors into answers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from watchdog.demo.service import assessments, controls, documents, errors, operations, sessions, users
from watchdog.demo.service.context import SERVICE, Flags, Service
from watchdog.demo.service.metrics import Metrics
from watchdog.demo.service.stores import Settings, Version, open_stores

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BUSINESS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/users", users.create),
    ("GET", "/users/{id}", users.read),
    ("POST", "/assessments", assessments.create),
    ("GET", "/assessments/{id}", assessments.read),
    ("PATCH", "/assessments/{id}", assessments.change),
    ("POST", "/documents", documents.create),
    ("GET", "/search", documents.search),
    ("GET", "/controls/{id}/risks", controls.risks),
    ("POST", "/sessions", sessions.create),
    ("GET", "/sessions/{id}", sessions.read),
)
BUSINESS_V2: tuple[tuple[str, str, Handler], ...] = (
    ("PUT", "/users/{id}/preferences", users.write_preferences),
    ("GET", "/users/{id}/preferences", users.read_preferences),
)
OPERATIONS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/health", operations.health),
    ("GET", "/metrics", operations.metrics),
    ("GET", "/version", operations.version),
    ("GET", "/flags", operations.flags),
)


def create(settings: Settings, version: Version) -> web.Application:
    """The application of one version; its stores open when it starts and close when it stops."""
    metrics = Metrics(version)
    routes = BUSINESS + (BUSINESS_V2 if version == "v2" else ())
    metrics.expect((method, path) for method, path, _ in routes)
    counted = frozenset(path for _, path, _ in routes)
    app = web.Application(middlewares=[_observe(metrics, counted)])
    for method, path, handler in routes + OPERATIONS:
        app.router.add_route(method, path, handler)
    app.cleanup_ctx.append(_context(settings, version, metrics))
    return app


def _context(
    settings: Settings, version: Version, metrics: Metrics
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(app: web.Application) -> AsyncIterator[None]:
        async with open_stores(settings, version) as stores:
            app[SERVICE] = Service(version, settings.fault, stores, metrics, Flags(stores))
            yield

    return run


def _observe(metrics: Metrics, counted: frozenset[str]) -> Middleware:
    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        endpoint = resource.canonical if resource is not None else ""
        if endpoint not in counted:
            return await handler(request)
        started = time.monotonic()
        status = 500  # also when something unforeseen flies through
        metrics.in_flight.inc()
        try:
            response = await _answer(request, handler, metrics)
            status = response.status
        finally:
            metrics.in_flight.dec()
            metrics.answered(request.method, endpoint, status, time.monotonic() - started)
        return response

    return observe


async def _answer(request: web.Request, handler: Handler, metrics: Metrics) -> web.StreamResponse:
    try:
        await request.app[SERVICE].mistakes()
        return await handler(request)
    except errors.EXPECTED as error:
        return errors.answer(error, metrics).response()
