"""Assessments: written to PostgreSQL after asking the rating service, read through the cache."""

import json
import secrets
import uuid
from typing import Any

import aiohttp
from aiohttp import web

from watchdog.demo.service import statements
from watchdog.demo.service.context import SERVICE, Service
from watchdog.demo.service.errors import DependencyError
from watchdog.demo.service.users import not_found

CACHE_TTL_S = 60


def cache_key(identifier: str) -> str:
    """The Redis key of a cached assessment."""
    return f"compliance:cache:assessment:{identifier}"


async def create(request: web.Request) -> web.Response:
    """POST /assessments."""
    service = request.app[SERVICE]
    body: dict[str, Any] = await request.json()
    values = {
        "id": uuid.UUID(bytes=secrets.token_bytes(16), version=4),
        "user_id": int(body["user_id"]),
        "control_id": body["control_id"],
        "score": int(body["score"]),
        "note": body["note"],
    }
    rating = await _rating(service, values["score"])
    await service.stores.rows(statements.INSERT_ASSESSMENT, values)
    return web.json_response({"id": str(values["id"]), "rating": rating}, status=201)


async def read(request: web.Request) -> web.Response:
    """GET /assessments/{id}: whatever the cache holds, for a minute."""
    service = request.app[SERVICE]
    identifier = str(uuid.UUID(request.match_info["id"]))
    cached = await service.stores.redis.get(cache_key(identifier))
    if cached is not None:
        return web.Response(text=str(cached), content_type="application/json")
    statement = statements.SELECT_ASSESSMENT_V2 if service.version == "v2" else statements.SELECT_ASSESSMENT_V1
    rows = await service.stores.rows(statement, {"id": identifier})
    if not rows:
        return not_found("assessment")
    text = json.dumps(rows[0])
    await service.stores.redis.set(cache_key(identifier), text, ex=CACHE_TTL_S)
    return web.Response(text=text, content_type="application/json")


async def change(request: web.Request) -> web.Response:
    """PATCH /assessments/{id}: status, score and note together."""
    service = request.app[SERVICE]
    identifier = str(uuid.UUID(request.match_info["id"]))
    body: dict[str, Any] = await request.json()
    values = {"id": identifier, "status": body["status"], "score": int(body["score"]), "note": body["note"]}
    rows = await service.stores.rows(statements.UPDATE_ASSESSMENT, values)
    if not rows:
        return not_found("assessment")
    await service.stores.redis.delete(cache_key(identifier))
    return web.json_response(rows[0])


async def _rating(service: Service, score: int) -> str:
    url = f"{service.stores.dependency_url}/rating"
    try:
        async with service.stores.http.get(url, params={"score": score}) as response:
            if response.status != 200:
                raise DependencyError
            body: dict[str, str] = await response.json()
            return body["rating"]
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DependencyError from error
