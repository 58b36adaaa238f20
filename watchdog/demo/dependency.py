"""The rating service that the sample service asks: somebody else's, and able to fail on its own."""

from dataclasses import dataclass

from aiohttp import web

CYCLE = 5


@dataclass
class Rating:
    """A small HTTP server on loopback. `failing` is the share of calls answered with 500 (0.0 to 1.0)."""

    failing: float = 0.0
    calls: int = 0
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listens on the port, or on a free one."""
        app = web.Application()
        app.router.add_get("/rating", self._rate)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops listening; may be called twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _rate(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.calls % CYCLE < round(self.failing * CYCLE):
            return web.json_response({"error": "internal error"}, status=500)
        score = int(request.query["score"])
        return web.json_response({"rating": "low" if score >= 70 else "medium" if score >= 40 else "high"})
