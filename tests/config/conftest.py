"""A small registry of kinds that build nothing, with the options that the files in `project` use."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from watchdog.config import Registries, Report, inspect
from watchdog.model.signals import SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.kinds import (
    ActionKind,
    Duration,
    Fencing,
    NotifierKind,
    ProbeKind,
    Role,
    Script,
    Target,
    TargetKind,
)
from watchdog.ports.secrets import Secret

ENVIRON = {
    "WATCHDOG_STATE": "/tmp/wd",
    "WATCHDOG_METRICS_PORT": "9187",
    "WATCHDOG_PYTHON": "/usr/bin/python3",
    "COMPLIANCE_API_URL": "http://127.0.0.1:8080",
    "COMPLIANCE_PORT": "8080",
    "COMPLIANCE_PID_FILE": "/tmp/wd/service.pid",
    "COMPLIANCE_WATCHDOG_DB_URL": "postgresql://watchdog:hunter2@127.0.0.1/compliance",
    "COMPLIANCE_NEO4J_URL": "bolt://127.0.0.1:7687",
    "COMPLIANCE_NEO4J_PASSWORD": "correct-horse",
    "COMPLIANCE_REDIS_URL": "redis://:battery-staple@127.0.0.1/0",
    "SLACK_BOT_TOKEN": "xoxb-bot-secret",
    "SLACK_APP_TOKEN": "xapp-app-secret",
    "SLACK_API_URL": "http://127.0.0.1:9999/api/",
}
ONE_SECOND, TWO_SECONDS, THREE_SECONDS, TEN_SECONDS = (Duration(count * SECOND) for count in (1, 2, 3, 10))
NOBODY = Role("")
SECRETS = ("hunter2", "correct-horse", "battery-staple", "xoxb-bot-secret", "xapp-app-secret")


@dataclass(frozen=True, kw_only=True)
class UrlOptions:
    url: Secret
    timeout: Duration = THREE_SECONDS


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    url: str
    headers: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Neo4jOptions:
    url: str
    user: str
    password: Secret
    database: str = "neo4j"


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    versions: Mapping[str, tuple[str, ...]]
    pid_file: str
    ready_url: str
    env: Mapping[str, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.versions:
            raise ValueError("a process needs at least one version")


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    pass


@dataclass(frozen=True, kw_only=True)
class HttpProbeOptions:
    path: str = "/health"


@dataclass(frozen=True, kw_only=True)
class MetricsOptions:
    path: str = "/metrics"


@dataclass(frozen=True, kw_only=True)
class MetricsRead:
    metric: str
    kind: Literal["counter", "gauge", "distribution"] = "gauge"
    where: Mapping[str, str] = field(default_factory=dict)
    not_: Mapping[str, str] = field(default_factory=dict)
    split: tuple[str, ...] = ()
    absent: Literal["missing", "zero"] = "missing"


@dataclass(frozen=True, kw_only=True)
class HttpRead:
    of: Literal["status_ok", "seconds"]


@dataclass(frozen=True, kw_only=True)
class GaugeRead:
    of: Literal[
        "reachable", "waiting_locks", "blocked_ddl", "oldest_transaction_seconds", "commits", "hit_ratio", "nodes"
    ]


@dataclass(frozen=True, kw_only=True)
class SchemaRead:
    of: Literal["constraints_not_validated", "invalid_indexes", "foreign_key_orphans", "schema_version_missing"]
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    table: str
    column: str
    key: str
    rows_table: str = ""
    rows_key: str = ""


@dataclass(frozen=True, kw_only=True)
class VectorRead:
    of: Literal["nulls", "wrong_dimensions", "rows_without_vector", "vectors_without_row"]
    dimensions: int | None = None


@dataclass(frozen=True, kw_only=True)
class CrossOptions:
    graph: Role
    settle: Duration = ONE_SECOND


@dataclass(frozen=True, kw_only=True)
class CrossRead:
    rows: Script
    nodes: Script
    direction: Literal["both", "rows_without_node", "nodes_without_row"] = "both"


@dataclass(frozen=True, kw_only=True)
class Archive:
    name: str
    table: str
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SqlOptions:
    script: Script
    archive: tuple[Archive, ...] = ()
    transactional: bool = True
    lock_timeout: Duration = TWO_SECONDS
    verify: Script | None = None


@dataclass(frozen=True, kw_only=True)
class CypherOptions:
    script: Script
    backup: str = ""


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    prefixes: tuple[str, ...]
    never: tuple[str, ...] = ()
    max_keys: int = 1_000_000


@dataclass(frozen=True, kw_only=True)
class FlagOptions:
    confirm: Role = NOBODY
    propagation: Duration = TEN_SECONDS


@dataclass(frozen=True, kw_only=True)
class ProcessStepOptions:
    do: Literal["stop", "start"]
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class FenceOptions:
    do: Literal["fence", "lift"]
    roles: tuple[str, ...]
    schemas: tuple[str, ...] = ("public",)


@dataclass(frozen=True, kw_only=True)
class CancelOptions:
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HttpStepOptions:
    path: str
    json: Any = None
    expect: int | tuple[int, ...] = 200
    headers: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    for_: Duration


@dataclass(frozen=True, kw_only=True)
class SlackOptions:
    bot_token: Secret
    app_token: Secret
    api_url: str = ""


def sql_complaints(options: SqlOptions) -> Iterable[str]:
    for number, line in enumerate(options.script.text.splitlines(), 1):
        if line.lower().startswith("drop table") and not options.archive:
            yield f"line {number}: DROP TABLE destroys rows that nothing archives"


def build(*arguments: object) -> Any:
    raise AssertionError("configuration builds nothing")


O = TypeVar("O")  # noqa: E741 - as in the ports


def target(name: str, options: type[O]) -> TargetKind[O]:
    return TargetKind(name, options, lambda _name, _options: _no_target())


def _no_target() -> Target:
    raise AssertionError("configuration builds nothing")


def probe(
    name: str, options: type[Any], read: type[Any], targets: str, kind: Any, labels: Any = lambda _read: ()
) -> ProbeKind[Any, Any]:
    return ProbeKind(name, options, read, (targets,), kind, build, labels=labels)


def action(name: str, options: type[Any], *targets: str, **more: Any) -> ActionKind[Any]:
    return ActionKind(name, options, targets, lambda _options: name in {"sql", "cypher"}, build, **more)


def _gauge_or_counter(read: GaugeRead) -> SignalKind:
    return SignalKind.COUNTER if read.of == "commits" else SignalKind.GAUGE


@dataclass(frozen=True)
class Discoverer:
    takes: str = ""
    needed: bool = False
    tools: tuple[str, ...] = ()


REGISTRIES = Registries(
    targets={
        "postgres": target("postgres", UrlOptions),
        "redis": target("redis", UrlOptions),
        "http": target("http", HttpOptions),
        "neo4j": target("neo4j", Neo4jOptions),
        "process": target("process", ProcessOptions),
    },
    probes={
        "metrics": probe(
            "metrics", MetricsOptions, MetricsRead, "http", lambda read: SignalKind(read.kind), lambda read: read.split
        ),
        "http": probe("http", HttpProbeOptions, HttpRead, "http", lambda _read: SignalKind.GAUGE),
        "postgres": probe("postgres", NoOptions, GaugeRead, "postgres", _gauge_or_counter),
        "redis": probe("redis", NoOptions, GaugeRead, "redis", _gauge_or_counter),
        "neo4j": probe("neo4j", NoOptions, GaugeRead, "neo4j", _gauge_or_counter),
        "schema_check": probe("schema_check", NoOptions, SchemaRead, "postgres", lambda _read: SignalKind.CHECK),
        "pgvector": probe("pgvector", VectorOptions, VectorRead, "postgres", lambda _read: SignalKind.CHECK),
        "cross_check": probe("cross_check", CrossOptions, CrossRead, "postgres", lambda _read: SignalKind.CHECK),
    },
    actions={
        "sql": action("sql", SqlOptions, "postgres", complaints=sql_complaints),
        "cypher": action("cypher", CypherOptions, "neo4j"),
        "redis": action("redis", RedisOptions, "redis"),
        "feature_flag": action("feature_flag", FlagOptions, "postgres"),
        "process": action("process", ProcessStepOptions, "process"),
        "fence_writers": action(
            "fence_writers",
            FenceOptions,
            "postgres",
            fencing=lambda options: Fencing(frozenset(options.roles), lifts=options.do == "lift"),
        ),
        "cancel_migration": action("cancel_migration", CancelOptions, "postgres"),
        "http": action("http", HttpStepOptions, "http"),
        "wait": action("wait", WaitOptions),
    },
    notifiers={"slack": NotifierKind("slack", SlackOptions, build)},
    discoverers={
        "postgres": Discoverer("tables", tools=("alembic", "flyway")),
        "neo4j": Discoverer(),
        "process": Discoverer("deployments", needed=True),
    },
)


@dataclass(frozen=True)
class Project:
    """A configuration in a folder of its own, to be damaged."""

    folder: Path
    environ: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def change(self, file: str, old: str, new: str) -> None:
        """Replaces a text that stands exactly once."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))

    def line(self, file: str, text: str) -> int:
        """The line in which a text stands for the first time."""
        lines = (self.folder / file).read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def inspect(self) -> Report:
        return inspect(self.config, REGISTRIES, environ=self.environ)

    def found(self) -> list[tuple[str, int, str]]:
        """File, line and key of each problem."""
        return [
            (str(Path(problem.file).relative_to(self.folder)), problem.line, problem.key)
            for problem in self.inspect().problems
        ]

    def said(self) -> str:
        """Every problem as a person reads it, with paths as seen from the folder."""
        return "\n".join(map(str, self.inspect().problems)).replace(f"{self.folder}/", "")


def copy_project(folder: Path) -> Project:
    """The project beside this file: like the one that we ship, and kept still for the tests."""
    shutil.copytree(Path(__file__).with_name("project"), folder, dirs_exist_ok=True)
    return Project(folder, dict(ENVIRON))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A configuration without a mistake, for a test to change."""
    return copy_project(tmp_path)


@pytest.fixture
def registries() -> Registries:
    return REGISTRIES
