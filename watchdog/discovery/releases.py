"""What becomes of a discovered change. Pure."""

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final

from watchdog.discovery.changes import DDL, KUBERNETES, Change, Discovered
from watchdog.model.releases import Protection, Release
from watchdog.model.time import Time

DISCOVERED: Final = "found-"
"""What the names of releases begin with that nobody announced."""

_OUTWARD: Final = frozenset({Change.RUNNING, Change.BEGUN, Change.APPLIED, Change.FAILED})
_COMMANDS: Final = MappingProxyType({
    "alembic": "alembic -- alembic upgrade head",
    "django": "django -- python manage.py migrate",
    "flyway": "flyway -- flyway migrate",
    "liquibase": "liquibase -- liquibase update",
    "golang-migrate": "golang-migrate -- migrate -path migrations up",
    "prisma": "prisma -- npx prisma migrate deploy",
    "rails": "other --env DATABASE_URL -- bin/rails db:migrate",
    "dbmate": "dbmate -- dbmate up",
    "sqitch": "sqitch -- sqitch deploy",
})  # fmt: skip


def release_of(found: Sequence[Discovered], release: str) -> Release | None:
    """The release that these changes make up; None when they only took something back.

    It was seen afterwards, so nothing of it is archived: its protection is `code-only`, and data is never touched.
    A rollout is no migration: it gives the versions of the code, where all of its deployments go the same way.
    """
    outward = [one for one in found if one.change in _OUTWARD]
    if not outward:
        return None
    rollouts = [one for one in outward if one.tool == KUBERNETES]
    changes = (one for one in outward if one.tool != KUBERNETES)
    names = tuple(dict.fromkeys(chain.from_iterable(_said(one) for one in changes)))
    ways = {(one.gone, one.versions) for one in rollouts if one.gone not in {(), one.versions}}
    old, new = next(iter(ways)) if len(ways) == 1 else ((), ())
    return Release(release, names, (), ",".join(old), ",".join(new), Protection.CODE_ONLY)


def began_at(found: Sequence[Discovered]) -> Time:
    """The earliest time at which one of these changes may have begun: T-0, so that damage is not in the baseline."""
    return min(one.since for one in found)


def is_discovered(release: str, protection: str) -> bool:
    """Whether a release, by its name, is one that nobody announced."""
    return release.startswith(DISCOVERED) and protection == Protection.CODE_ONLY


def advice_for(migrations: Sequence[str]) -> str:
    """One sentence: how the next one gets the protection `full`, after the first migration that was seen."""
    if not migrations:
        return how_to_protect(KUBERNETES)
    tool, colon, _ = migrations[0].partition(": ")
    return how_to_protect(tool if colon else DDL)


def how_to_protect(tool: str) -> str:
    """One sentence: how the next release of this tool gets the protection `full`."""
    if tool == KUBERNETES:
        return (
            "It was only seen when it had begun. Next time announce it before: "
            "watchdog release start --guard GUARD --id NAME --new-version TAG --protection full"
        )
    if tool in _COMMANDS:
        return (
            f"It was only seen afterwards, so its data cannot be taken back. Next time run it through the watchdog: "
            f"watchdog migration apply --tool {_COMMANDS[tool]}"
        )
    how = {
        "neo4j-migrations": "watchdog migration apply FILE.cypher",
        "MigrationLog": "watchdog migration apply FILE.cypher",
    }.get(tool, "watchdog migration apply FILE.sql")
    return f"It was only seen afterwards, so its data cannot be taken back. Next time apply it by: {how}"


def sentence(found: Discovered) -> str:
    """What was found, for a person."""
    names = ", ".join(found.versions[:5])
    more = f" and {len(found.versions) - 5} more" if len(found.versions) > 5 else ""
    if found.tool == DDL:
        return f"{found.place or 'somebody'} runs {names}{more}"
    was = f" (was {', '.join(found.gone[:5])})" if found.gone and found.change is not Change.TAKEN_BACK else ""
    return f"{found.tool} in {found.place}: {names}{more} {found.change}{was}"


def _said(found: Discovered) -> tuple[str, ...]:
    return found.versions if found.tool == DDL else tuple(f"{found.tool}: {name}" for name in found.versions)
