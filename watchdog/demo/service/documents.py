"""Documents live in three places: a row, its vector, and a node in the graph."""

from typing import Any

import neo4j.exceptions
from aiohttp import web

from watchdog.demo.embedding import DIMENSIONS, MODEL_V1, MODEL_V2, embed, literal, query_literal
from watchdog.demo.service import statements
from watchdog.demo.service.context import REEMBED_FLAG, SERVICE, Service
from watchdog.demo.service.errors import GraphWriteError
from watchdog.demo.service.stores import ACQUIRE_TIMEOUT_S

WRONG_DIMENSIONS = 256


async def create(request: web.Request) -> web.Response:
    """POST /documents: row and vector in one transaction, then the node; without node no row."""
    service = request.app[SERVICE]
    body: dict[str, Any] = await request.json()
    document = await _insert(service, body)
    try:
        found = await service.stores.nodes(
            statements.CREATE_DOCUMENT_NODE, {"id": document, "control_id": body["control_id"]}
        )
    except (neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError) as error:
        await _delete(service, document)
        raise GraphWriteError from error
    if not found:
        await _delete(service, document)
        return web.json_response({"error": "no such control"}, status=404)
    return web.json_response({"id": document}, status=201)


async def search(request: web.Request) -> web.Response:
    """GET /search?q=: the five nearest documents."""
    service = request.app[SERVICE]
    text = request.query["q"]
    if service.version == "v2" and await service.flags.enabled(REEMBED_FLAG):
        # The fault: somebody halved the query side of the new model and nobody compared it with the table.
        dimensions = WRONG_DIMENSIONS if service.fault == "flag" else DIMENSIONS
        statement, query = statements.SEARCH_V2, query_literal(text, MODEL_V2, dimensions)
    else:
        statement, query = statements.SEARCH_V1, query_literal(text, MODEL_V1, DIMENSIONS)
    rows = await service.stores.rows(statement, {"query": query})
    return web.json_response({"results": rows})


async def _insert(service: Service, body: dict[str, Any]) -> int:
    values = {"title": body["title"], "body": body["body"], "owner_id": int(body["owner_id"])}
    text = f"{values['title']} {values['body']}"
    async with service.stores.pool.connection(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
        row = await (await connection.execute(statements.INSERT_DOCUMENT, values)).fetchone()
        if row is None:
            raise ValueError(values)
        for statement, model in _embeddings(service):
            vector = literal(embed(text, model=model))
            await connection.execute(statement, {"id": row["id"], "model": model, "embedding": vector})
        return int(row["id"])


def _embeddings(service: Service) -> list[tuple[str, str]]:
    written = [(statements.INSERT_EMBEDDING_V1, MODEL_V1)]
    if service.version == "v2":
        written.append((statements.INSERT_EMBEDDING_V2, MODEL_V2))
    return written


async def _delete(service: Service, document: int) -> None:
    deletes = [statements.DELETE_EMBEDDING_V1, statements.DELETE_DOCUMENT]
    if service.version == "v2":
        deletes.insert(0, statements.DELETE_EMBEDDING_V2)
    async with service.stores.pool.connection(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
        for statement in deletes:
            await connection.execute(statement, {"id": document})
