"""A migration of many schemas of one form: the canary first, then the others, each a run of its own."""

from dataclasses import replace

import psycopg
from psycopg import sql

from watchdog.migrations.plans.file import Entry, Plan, Tenants
from watchdog.migrations.session import RefusedError, connected
from watchdog.ports.errors import WatchdogError


async def spread(plan: Plan, urls: dict[str, str]) -> tuple[Plan, tuple[str, ...]]:
    """The plan with one entry for each tenant, and the names of those whose failure leaves the others as they are.

    Args:
        urls: The address of each place.

    Raises:
        RefusedError: The query finds no schemas, or not the canary.
        WatchdogError: The database does not answer, or not to this query.
    """
    entries: list[Entry] = []
    names: dict[str, tuple[str, ...]] = {}
    lenient: list[str] = []
    for entry in plan.entries:
        after = tuple(name for one in entry.after for name in names.get(one, (one,)))
        if entry.tenants is None:
            entries.append(replace(entry, after=after))
            continue
        schemas = await _schemas(urls[entry.place], entry.name, entry.tenants)
        each = [_for(replace(entry, after=after), schema) for schema in schemas]
        names[entry.name] = tuple(one.name for one in each)
        lenient += [one.name for one in each[1:]]
        entries += each
    return Plan(plan.release, tuple(entries)), tuple(lenient)


async def _schemas(url: str, name: str, tenants: Tenants) -> list[str]:
    found = list(tenants.schemas)
    if tenants.query:
        async with connected(url) as connection:
            try:
                rows = await (await connection.execute(tenants.query.encode())).fetchall()
            except psycopg.Error as error:
                raise WatchdogError(f"The tenants of {name} cannot be found: {error.diag.message_primary}") from error
        found = list(dict.fromkeys(str(row[0]) for row in rows))
    if tenants.canary not in found:
        raise RefusedError((f"{name}: there is no tenant {tenants.canary}, which was to be the first",))
    return [tenants.canary, *(one for one in found if one != tenants.canary)]


def _for(entry: Entry, schema: str) -> Entry:
    first = sql.SQL("SET LOCAL search_path TO {}, public;\n").format(sql.Identifier(schema)).as_string()
    return replace(entry, name=f"{entry.name}@{schema}", text=first + entry.text, tenants=None)
