"""Controls and the risks they answer, from the graph."""

from aiohttp import web

from watchdog.demo.service import statements
from watchdog.demo.service.context import SERVICE


async def risks(request: web.Request) -> web.Response:
    """GET /controls/{id}/risks: by ADDRESSES, in v2 also by MITIGATES."""
    service = request.app[SERVICE]
    query = statements.RISKS_V2 if service.version == "v2" else statements.RISKS_V1
    found = await service.stores.nodes(query, {"id": request.match_info["id"]})
    return web.json_response({"risks": found})
