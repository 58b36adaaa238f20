"""Both servers in the daemon's event loop: the API on its Unix socket; metrics and health over TCP when wanted."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchdog.ports.control import Control
from watchdog.web.api import application
from watchdog.web.metrics import registry
from watchdog.web.reversibility import Kept, nothing_kept
from watchdog.web.sockets import tcp_listener, unix_listener

GRACE_SECONDS: Final = 5


@dataclass(frozen=True)
class Serving:
    """Where the servers listen.

    Attributes:
        metrics: Host and port as bound; None when no metrics were wanted.
    """

    socket: Path
    metrics: tuple[str, int] | None


@contextlib.asynccontextmanager
async def serve(
    control: Control,
    socket: Path,
    metrics: tuple[str, int] | None = None,
    kept: Callable[[str], Kept] = nothing_kept,
) -> AsyncIterator[Serving]:
    """Serves until the block ends; then answers what has been asked and closes.

    Args:
        control: The running daemon.
        socket: Of the API; a stale file is replaced.
        metrics: Host and port for `/metrics`, `/health/live` and `/health/ready`; port 0 takes a free one.
        kept: What a guard's databases keep for the way back, by the guard's name.

    Raises:
        ListenError: An address cannot be listened on, or another daemon answers there.
    """
    with contextlib.ExitStack() as listeners:
        sites = [(application(control, kept), listeners.enter_context(unix_listener(socket)))]
        bound = None
        if metrics is not None:
            over_tcp = listeners.enter_context(tcp_listener(*metrics))
            bound = (metrics[0], int(over_tcp.getsockname()[1]))
            sites.append((health_application(control, kept), over_tcp))
        async with _running(sites):
            yield Serving(socket, bound)


def health_application(control: Control, kept: Callable[[str], Kept] = nothing_kept) -> Starlette:
    """Metrics and health, which anybody on the network may ask."""
    health = _Health(control, registry(control, kept))
    return Starlette(
        routes=[
            Route("/metrics", health.metrics, methods=["GET"]),
            Route("/health/live", health.live, methods=["GET"]),
            Route("/health/ready", health.ready, methods=["GET"]),
        ]
    )


class _Health:
    def __init__(self, control: Control, metrics: CollectorRegistry) -> None:
        self._control = control
        self._metrics = metrics

    async def metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics), headers={"Content-Type": content_type})

    async def live(self, _request: Request) -> Response:
        """An answer at all says that the loop turns."""
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        ready, reason = self._control.ready()
        return JSONResponse({"ready": ready, "reason": reason}, status_code=200 if ready else 503)


class _Server(uvicorn.Server):
    """A server inside somebody else's loop: it leaves signals alone and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and says so."""
        await super().startup(sockets)
        self.answering.set()


@contextlib.asynccontextmanager
async def _running(sites: Sequence[tuple[Starlette, socket.socket]]) -> AsyncIterator[None]:
    servers = [_server(app) for app, _ in sites]
    # No TaskGroup: it would wrap what the block raises, and cancel what is being answered.
    tasks = [
        asyncio.create_task(server.serve([listener]), name=f"server at {listener.getsockname()}")
        for server, (_, listener) in zip(servers, sites, strict=True)
    ]
    try:
        for server in servers:
            await server.answering.wait()
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.wait(tasks)
    for task in tasks:
        task.result()


def _server(app: Starlette) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
