"""Vouching for a certificate: it holds only for these scripts, on this server, with this schema."""

from dataclasses import replace

from watchdog.migrations.catalog import differences, surroundings
from watchdog.model.guards import GuardSettings
from watchdog.model.releases import Certificate, Compatibility, Release
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Resources
from watchdog.targets.postgres import PostgresTarget

DATABASE_STEPS = frozenset({"sql", "migrations"})
"""Steps that change a database's schema."""
GENERATED_STEPS = frozenset({"migrations", "graph_migrations", "cache_migrations", "vector_migrations"})
"""Steps that take back what was applied through us."""
STORE_STEPS = GENERATED_STEPS | {"sql", "cypher"}
"""Steps that take something back in a store."""


async def vouch(release: Release, settings: GuardSettings, resources: Resources) -> Release:
    """The release, its certificate struck down with the reasons if it proves nothing here."""
    certificate = release.certificate
    if certificate is None:
        return release
    doubts = [*_other_scripts(certificate, settings), *await _other_place(certificate, settings, resources)]
    if not doubts:
        return release
    struck = replace(
        certificate,
        restored=False,
        old_code=Compatibility.UNKNOWN,
        findings=(*(f"it does not hold here: {doubt}" for doubt in doubts), *certificate.findings),
    )
    return replace(release, certificate=struck)


def _other_scripts(certificate: Certificate, settings: GuardSettings) -> list[str]:
    if certificate.rollback_hash == settings.playbook.hash or _by_script(certificate, settings):
        return []
    return [f"playbook {settings.playbook.name} has changed since it was rehearsed"]


def _by_script(certificate: Certificate, settings: GuardSettings) -> bool:
    """Whether all that is taken back was generated: then a certificate of `migration rehearse` says enough.

    Such steps take back only scripts that the certificate names.
    """
    steps = [step for rung in settings.playbook.rungs for step in rung.steps if step.kind in STORE_STEPS]
    return bool(certificate.scripts) and bool(steps) and all(step.kind in GENERATED_STEPS for step in steps)


async def _other_place(certificate: Certificate, settings: GuardSettings, resources: Resources) -> list[str]:
    """Compared with the first database that the playbook acts on."""
    for rung in settings.playbook.rungs:
        for step in rung.steps:
            target = resources.target(step.target) if step.kind in DATABASE_STEPS else None
            if isinstance(target, PostgresTarget):
                try:
                    async with target.observe() as connection:
                        here = await surroundings(connection)
                except TargetError as error:
                    return [f"it could not be compared with this database: {error}"]
                return list(differences(certificate.surroundings, here))
    return []
