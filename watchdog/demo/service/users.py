"""Users and, in v2, their preferences."""

from typing import Any

from aiohttp import web
from psycopg.types.json import Jsonb

from watchdog.demo.service import statements
from watchdog.demo.service.context import SERVICE


def not_found(what: str) -> web.Response:
    """The answer for a thing that is not there."""
    return web.json_response({"error": f"no such {what}"}, status=404)


async def create(request: web.Request) -> web.Response:
    """POST /users."""
    body: dict[str, Any] = await request.json()
    values = {"email": body["email"], "name": body["name"]}
    rows = await request.app[SERVICE].stores.rows(statements.INSERT_USER, values)
    return web.json_response({"id": rows[0]["id"]}, status=201)


async def read(request: web.Request) -> web.Response:
    """GET /users/{id}."""
    key = {"id": int(request.match_info["id"])}
    rows = await request.app[SERVICE].stores.rows(statements.SELECT_USER, key)
    return web.json_response(rows[0]) if rows else not_found("user")


async def write_preferences(request: web.Request) -> web.Response:
    """PUT /users/{id}/preferences (v2)."""
    values = {"id": int(request.match_info["id"]), "prefs": Jsonb(await request.json())}
    await request.app[SERVICE].stores.rows(statements.UPSERT_PREFERENCES, values)
    return web.json_response({"id": values["id"]})


async def read_preferences(request: web.Request) -> web.Response:
    """GET /users/{id}/preferences (v2): empty for a user who has set none."""
    key = {"id": int(request.match_info["id"])}
    rows = await request.app[SERVICE].stores.rows(statements.SELECT_PREFERENCES, key)
    return web.json_response(rows[0]["prefs"] if rows else {})
