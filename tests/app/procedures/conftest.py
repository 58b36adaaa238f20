"""A guard with a real database and a real HTTP service, and what procedures say of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from aiohttp import web

from watchdog.app.procedures.parts import Part
from watchdog.app.procedures.place import Place, place
from watchdog.model.time import SECOND
from watchdog.ports.kinds import Duration
from watchdog.runtime.clock import SystemClock
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "${env:SHOP_URL}", headers: {Authorization: "${env:SHOP_TOKEN}"}}
  db: {kind: postgres, url: "${env:SHOP_DB_URL}"}
guards:
  shop:
    rules: [shop]
    playbook: emergency
"""

RULES = """\
version: 1
signals:
  - probe: http
    target: api
    every: 5s
    timeout: 3s
    path: /health
    read:
      healthy: {of: status_ok}
  - probe: sql_check
    target: db
    every: 5s
    timeout: 3s
    read:
      negative: {query: {text: "SELECT id FROM orders WHERE amount < 0"}}
rules:
  unhealthy: {kind: gauge, of: healthy, below: 1, hold: 10s, enters: flag}
  negative_amounts: {kind: check, of: [negative], expect: baseline, enters: data}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: data
    steps:
      - name: take the column back
        kind: sql
        target: db
        timeout: 20s
        script: {text: "ALTER TABLE orders DROP COLUMN score;"}
        archive:
          - {name: score, table: public.orders, columns: [score], key: [id]}
"""

ORDERS = """\
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, amount int NOT NULL);
INSERT INTO customers (name) VALUES ('ann'), ('bob');
INSERT INTO orders VALUES (1, 1, 10), (2, 2, 20), (3, 2, 30);
"""


def write_project(directory: Path) -> Path:
    """The shop's files; the path of its config.yaml."""
    files = {"config.yaml": CONFIG, "rules/shop.yaml": RULES, "rollbacks/emergency/playbook.yaml": PLAYBOOK}
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory / "config.yaml"


class Plain:
    """A secret without references."""

    def __init__(self, text: str) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


class Service:
    """The shop; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.seen: list[tuple[str, str]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.seen.append((request.path, request.headers.get("Authorization", "")))
        return web.Response(status=self.status)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    shop = Service()
    runner = web.ServerRunner(web.Server(shop.answer), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield shop
    finally:
        await runner.cleanup()


async def run(url: str, *statements: str) -> None:
    """Each statement in a transaction of its own; then what was counted of them is there for others to see."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
        await connection.execute("SELECT pg_stat_force_next_flush()")


@pytest_asyncio.fixture
async def target(pg_database: str) -> AsyncIterator[PostgresTarget]:
    """The test's own database, empty."""
    made = PostgresTarget("db", PostgresOptions(url=Plain(pg_database), statement_timeout=Duration(5 * SECOND)))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def project(tmp_path: Path, pg_database: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop's config.yaml; its database has a few orders."""
    monkeypatch.setenv("SHOP_URL", service.url)
    monkeypatch.setenv("SHOP_TOKEN", "Bearer hush-hush")
    monkeypatch.setenv("SHOP_DB_URL", pg_database)
    await run(pg_database, ORDERS)
    return write_project(tmp_path)


@pytest_asyncio.fixture
async def shop(project: Path) -> AsyncIterator[Place]:
    async with place(project, "shop", SystemClock()) as found:
        yield found


async def collect(parts: AsyncIterator[Part]) -> dict[str, Part]:
    """Every part, by its name."""
    return {part.name: part async for part in parts}
