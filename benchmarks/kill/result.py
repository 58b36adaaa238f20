"""What a run leaves behind, and how that of one run differs from that of another."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import TupleRow

from benchmarks.kill.points import PASSING
from watchdog.demo import before as snapshot
from watchdog.demo.before import Systems
from watchdog.demo.daemon import GUARD
from watchdog.demo.stack import Stack
from watchdog.doubles.slack import SlackDouble
from watchdog.journals.sqlite import SqliteJournal
from watchdog.model import events as ev
from watchdog.model.communication import NoticeOutcome
from watchdog.model.events import Event, Stored
from watchdog.servers.process import is_alive

Section = dict[str, str]
Connection = psycopg.AsyncConnection[TupleRow]

CHANNELS: Final = ("incidents", "stakeholders")
SHOWN: Final = 5

REPEATED: Final = (
    ev.EpochClaimed,
    ev.StepReset,
    ev.NoticeOwed,
    ev.NoticeIntended,
    ev.NoticeSettled,
    ev.PendingShifted,
    ev.PendingBegan,
    ev.PendingEnded,
    ev.ClockStepped,
    *PASSING,
)
"""Events that a restart may add, or that come when they come."""

_RECEIPTS: Final = "SELECT step_id, count(*)::text FROM watchdog.receipts GROUP BY 1"
_DETAILS: Final = "SELECT step_id, detail FROM watchdog.receipts WHERE detail LIKE 'took back %'"
_RUNS: Final = "SELECT name, format('%s, %s', state, report) FROM watchdog.migration_runs"
_ARCHIVES: Final = "SELECT name, format('%s rows, checksum %s', rows, checksum) FROM watchdog.migration_archives"
_QUARANTINE: Final = """
    SELECT format('%s %s', "table", md5("row"::text)), count(*)::text FROM watchdog.migration_quarantine GROUP BY 1
"""
_ARCHIVE_TABLES: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'watchdog'::regnamespace AND relkind = 'r' AND relname LIKE 'run\\_%' ORDER BY 1
"""
_FENCED_GRANTS: Final = """
    SELECT concat_ws(' ', role, kind, schema_name, relation, column_name, privilege),
           format('%s times, %s given back', count(*), count(lifted_at))
    FROM watchdog.fenced_grants GROUP BY 1
"""
_GRANTS: Final = """
    SELECT concat_ws(' ', relname, attname, privilege_type), bool_or(is_grantable)::text
    FROM (
        SELECT relname, '' AS attname, entry.* FROM pg_class, aclexplode(relacl) AS entry
        WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT relname, attname, entry.*
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, aclexplode(attacl) AS entry
        WHERE relnamespace = 'public'::regnamespace
    ) AS granted
    WHERE grantee = 'compliance_app'::regrole GROUP BY 1
"""


@dataclass(frozen=True)
class Result:
    """What a run leaves behind.

    Attributes:
        stores: Everything in the stores and of the service, by kind and name, as text.
        ladder: What happened, in order, as the journal has it.
        complaints: What is wrong with this run by itself: an effect, an outcome or a message twice, or none.
        stored: The journal since the release had gone out.
    """

    stores: Mapping[str, Section]
    ladder: tuple[str, ...]
    complaints: tuple[str, ...]
    stored: tuple[Stored, ...]


async def collect(made: Stack, state: Path, seen: int, slack: SlackDouble) -> Result:
    """Looks at everything; the daemon has been stopped.

    Args:
        made: The stack of the run; the service still runs.
        state: The daemon's state directory.
        seen: The number of the last event before the run.
        slack: What people have been told.
    """
    journal = await SqliteJournal.open(state / "journal.db")
    try:
        stored = tuple(await journal.read(GUARD, seen))
    finally:
        await journal.close()
    return Result(
        stores=await stores(made),
        ladder=tuple(ladder(stored)),
        complaints=(*_steps_once(stored), *_notices_once(stored), *_said_once(stored, slack)),
        stored=stored,
    )


async def stores(made: Stack) -> dict[str, Section]:
    """Schema, rows, archives, receipts, grants, graph, Redis, and what runs."""
    found: dict[str, Section] = {}
    async with made.driver() as graph, made.client() as client:
        before = await snapshot.take(Systems(made.admin_url, graph, client), 0)
        found["graph"] = {name: value for name, value in before.graph.items() if not name.startswith("Watchdog")}
        receipts = await graph.execute_query(
            "MATCH (r:WatchdogReceipt) RETURN r.step_id AS step, count(*) AS times", database_="neo4j"
        )
        runs = await graph.execute_query(
            "MATCH (r:WatchdogMigrationRun) RETURN r.name AS name, r.state AS state", database_="neo4j"
        )
        found["runs in the graph"] = {record["name"]: record["state"] for record in runs.records}
        found["receipts in the graph"] = {record["step"]: str(record["times"]) for record in receipts.records}
        found["redis"] = await _redis(client)
    found["schema"] = {line: str(times) for line, times in Counter(before.schema.splitlines()).items()}
    found |= {f"table {name}": table.rows for name, table in before.tables.items()}
    found["vector answers"] = {str(i): str(answer) for i, answer in enumerate(before.answers)}
    async with await psycopg.AsyncConnection.connect(made.admin_url) as connection:
        found |= await _ours(connection)
        found["grants of compliance_app"] = await _pairs(connection, _GRANTS)
    found["service"] = _service(made)
    return found


async def _ours(connection: Connection) -> dict[str, Section]:
    archives = {}
    for (table,) in await (await connection.execute(_ARCHIVE_TABLES)).fetchall():
        query = f"SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM watchdog.{table} AS t"  # noqa: S608 - a table of the catalog
        row = await (await connection.execute(query.encode())).fetchone()
        archives[str(table)] = str(row)
    return {
        "receipts": await _pairs(connection, _RECEIPTS),
        "what scripts did": await _pairs(connection, _DETAILS),
        "runs": await _pairs(connection, _RUNS),
        "quarantine": await _pairs(connection, _QUARANTINE),
        "archives": await _pairs(connection, _ARCHIVES),
        "archived rows": archives,
        "fenced grants": await _pairs(connection, _FENCED_GRANTS),
    }


async def _pairs(connection: Connection, query: LiteralString) -> Section:
    rows = await (await connection.execute(query)).fetchall()
    return {str(name): str(value) for name, value in rows}


async def _redis(client: Any) -> Section:
    found: Section = {}
    async for key in client.scan_iter(count=1_000):
        if str(key).startswith("watchdog:fence:"):
            continue
        kind = await client.type(key)
        found[str(key)] = str(await (client.hgetall(key) if kind == "hash" else client.get(key)))
    return found


def _service(made: Stack) -> Section:
    """The version that the pid file names, and how many processes of the service there are."""
    pid = made.service_pid()
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if pid is not None else []
    version = arguments[arguments.index(b"--version") + 1].decode() if arguments else "none"
    return {"version": version, "processes": str(len(service_processes(made)))}


def service_processes(made: Stack) -> list[int]:
    """Every process of this stack's service, by its port."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"watchdog.demo.service" in arguments and str(made.port).encode() in arguments and is_alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def ladder(stored: Sequence[Stored]) -> Iterator[str]:
    """What happened, in order, without what a restart repeats."""
    begun: set[str] = set()
    for one in stored:
        event = one.body
        if isinstance(event, REPEATED):
            continue
        if isinstance(event, ev.StepIntended):
            if event.step in begun:
                continue
            begun.add(event.step)
        yield _line(event)


def _line(event: Event) -> str:
    name = type(event).__name__
    match event:
        case ev.IncidentOpened(incident=incident, enters=enters, basis=basis, rules=rules):
            return f"{name} {incident} {enters} {basis} {', '.join(rules)}"
        case ev.StepIntended(step) | ev.StepSucceeded(step) | ev.StepFailed(step) | ev.StepUnknown(step):
            return f"{name} {step}"
        case ev.RungEntered(rung) | ev.RungFinished(rung) | ev.RungSkipped(rung):
            return f"{name} {rung}"
        case ev.RungJudged(rung, outcome):
            return f"{name} {rung} {outcome}"
        case ev.RunEnded(outcome):
            return f"{name} {outcome}"
        case _:
            return name


def _steps_once(stored: Sequence[Stored]) -> Iterator[str]:
    outcomes = Counter(one.body.step for one in stored if isinstance(one.body, ev.StepSucceeded))
    intended = {one.body.step for one in stored if isinstance(one.body, ev.StepIntended)}
    for step in sorted(intended | set(outcomes)):
        if outcomes[step] != 1:
            yield f"step {step} succeeded {outcomes[step]} times"


def _notices_once(stored: Sequence[Stored]) -> Iterator[str]:
    owed = Counter(one.body.notice.id for one in stored if isinstance(one.body, ev.NoticeOwed))
    settled = Counter(one.body.notice for one in stored if isinstance(one.body, ev.NoticeSettled))
    for notice in sorted(set(owed) | set(settled)):
        if owed[notice] != 1 or settled[notice] != 1:
            yield f"notice {notice} was owed {owed[notice]} times and settled {settled[notice]} times"
    for one in stored:
        if isinstance(one.body, ev.NoticeSettled) and one.body.outcome is NoticeOutcome.FAILED:
            yield f"notice {one.body.notice} failed: {one.body.detail}"


def _said_once(stored: Sequence[Stored], slack: SlackDouble) -> Iterator[str]:
    """Every notice that was sent stands in Slack once, every other nowhere, and an incident has one thread."""
    said: Counter[str] = Counter()
    heads: Counter[str] = Counter()
    for payload in _payloads(slack):
        said.update((payload.get("keys") or payload["key"]).split("\n"))
        if payload.get("head"):
            heads[payload["thread"]] += 1
    for one in stored:
        if isinstance(one.body, ev.NoticeSettled):
            notice, outcome = one.body.notice, one.body.outcome
            if said[notice] != (1 if outcome is NoticeOutcome.SENT else 0):
                yield f"notice {notice} is {outcome}, and stands in Slack {said[notice]} times"
    yield from (f"incident {thread} has {count} threads" for thread, count in heads.items() if count > 1)


def _payloads(slack: SlackDouble) -> Iterator[dict[str, Any]]:
    for channel in CHANNELS:
        for message in slack.messages(channel):
            if message.metadata is not None:
                yield message.metadata["event_payload"]


def differences(expected: Result, found: Result) -> list[str]:
    """In what a run differs from the undisturbed one, and what is wrong with it by itself; empty when all is well."""
    said = list(found.complaints)
    for name in sorted(expected.stores.keys() | found.stores.keys()):
        said += _section(name, expected.stores.get(name, {}), found.stores.get(name, {}))
    said += _sequence(expected.ladder, found.ladder)
    return said


def _section(name: str, expected: Section, found: Section) -> list[str]:
    wrong = [f"{key} is missing" for key in expected.keys() - found.keys()]
    wrong += [f"{key} is new" for key in found.keys() - expected.keys()]
    wrong += [
        f"{key} is {found[key]}, not {value}" for key, value in expected.items() if key in found and found[key] != value
    ]
    return [f"{name}: {_some(wrong)}"] if wrong else []


def _some(lines: Iterable[str]) -> str:
    all_of_them = sorted(lines)
    more = f" and {len(all_of_them) - SHOWN} more" if len(all_of_them) > SHOWN else ""
    return "; ".join(all_of_them[:SHOWN]) + more


def _sequence(expected: Sequence[str], found: Sequence[str]) -> list[str]:
    if tuple(expected) == tuple(found):
        return []
    for place, (one, other) in enumerate(zip(expected, found, strict=False), start=1):
        if one != other:
            return [f"journal: event {place} is {other}, not {one}"]
    longer = found if len(found) > len(expected) else expected
    word = "has beyond that" if longer is found else "lacks"
    return [f"journal {word}: {_some(longer[min(len(found), len(expected)) :])}"]
