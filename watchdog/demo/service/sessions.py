"""Sessions: only in Redis, so a careless FLUSHALL would log everybody out."""

import secrets
from typing import Any

from aiohttp import web

from watchdog.demo.service.context import SERVICE
from watchdog.demo.service.users import not_found

TTL_S = 3_600


def session_key(identifier: str) -> str:
    """The Redis key of a session."""
    return f"compliance:session:{identifier}"


async def create(request: web.Request) -> web.Response:
    """POST /sessions."""
    body: dict[str, Any] = await request.json()
    identifier = secrets.token_hex(16)
    async with request.app[SERVICE].stores.redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(session_key(identifier), mapping={"user": int(body["user_id"])})
        pipeline.expire(session_key(identifier), TTL_S)
        await pipeline.execute()
    return web.json_response({"id": identifier}, status=201)


async def read(request: web.Request) -> web.Response:
    """GET /sessions/{id}."""
    identifier = request.match_info["id"]
    user = await request.app[SERVICE].stores.redis.hget(session_key(identifier), "user")
    return web.json_response({"id": identifier, "user_id": int(user)}) if user else not_found("session")
