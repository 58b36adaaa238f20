"""Which rules count for a release, and when."""

from fnmatch import fnmatchcase

from watchdog.model.guards import ReleaseRecord
from watchdog.model.rules import Rule


def in_scope(rule: Rule, release: ReleaseRecord | None) -> bool:
    """Whether a rule is judged for this release, in this phase; without a watched one every rule is."""
    if release is None or not release.watched:
        return True
    names = (release.release.id, *release.release.migrations)
    like = not rule.releases or any(fnmatchcase(name, pattern) for name in names for pattern in rule.releases)
    return like and release.state.value in rule.during
