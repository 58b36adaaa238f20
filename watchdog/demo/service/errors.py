"""How a failing store becomes an HTTP status: 503 when trying again may help, 500 when the request itself broke."""

import json
from dataclasses import dataclass

import neo4j.exceptions
import psycopg
import redis.exceptions
from aiohttp import web

from watchdog.demo.service.metrics import Metrics

_UNAVAILABLE = frozenset({"25006", "42501"})  # read-only transaction, permission denied: writers are fenced
_NO_CONNECTION = frozenset({"53300", "57P01", "57P02", "57P03", "28000", "28P01"})

StoreError = (psycopg.Error, redis.exceptions.RedisError, neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError)


class BrokenError(Exception):
    """The new version is of no use."""


class DependencyError(Exception):
    """The rating service did not give an answer."""


class GraphWriteError(Exception):
    """The graph did not take a document; its row was deleted again."""


@dataclass(frozen=True)
class Answer:
    """An error as the client gets it."""

    status: int
    message: str

    def response(self) -> web.Response:
        """The JSON answer."""
        return web.json_response({"error": self.message}, status=self.status)


def from_postgres(error: psycopg.Error, metrics: Metrics) -> Answer:
    """Counts the error and says what the client gets."""
    state = error.sqlstate
    if state is not None:
        metrics.db_error(state)
    lost = state is None or state.startswith("08") or state in _NO_CONNECTION
    if isinstance(error, psycopg.OperationalError) and lost:
        metrics.db_connection_error()
        return Answer(503, "postgres: no connection")
    if state in _UNAVAILABLE:
        return Answer(503, f"postgres: {state}")
    return Answer(500, f"postgres: {state}")


def from_graph(error: neo4j.exceptions.Neo4jError | neo4j.exceptions.DriverError) -> Answer:
    """What the client gets when Neo4j fails."""
    unavailable = isinstance(error, neo4j.exceptions.DriverError | neo4j.exceptions.TransientError)
    return Answer(503 if unavailable else 500, f"neo4j: {type(error).__name__}")


def answer(error: Exception, metrics: Metrics) -> Answer:
    """The answer to any error a handler may let through; the caller catches only those."""
    match error:
        case psycopg.Error():
            return from_postgres(error, metrics)
        case redis.exceptions.RedisError():
            return Answer(503, f"redis: {type(error).__name__}")
        case neo4j.exceptions.Neo4jError() | neo4j.exceptions.DriverError():
            return from_graph(error)
        case DependencyError():
            metrics.dependency_error()
            return Answer(502, "the rating service failed")
        case BrokenError():
            return Answer(500, "broken")
        case GraphWriteError():
            return Answer(503, "neo4j: document not taken")
        case json.JSONDecodeError() | KeyError() | TypeError() | ValueError():
            return Answer(400, f"bad request: {type(error).__name__}")
        case _:
            raise error


EXPECTED: tuple[type[Exception], ...] = (
    *(*StoreError, DependencyError, GraphWriteError, BrokenError),
    *(ValueError, KeyError, TypeError),
)
