"""A statement with what was found about it alone."""

from dataclasses import dataclass

from watchdog.migrations.assess.scene import Scene
from watchdog.migrations.assess.values import Finding, Lock


@dataclass(frozen=True)
class Step:
    """One statement, judged by itself.

    Attributes:
        waits: The locks that others wait for: not those on tables that the script has made.
    """

    scene: Scene
    findings: tuple[Finding, ...]
    waits: tuple[Lock, ...]

    @property
    def seconds(self) -> float | None:
        """How long its work on whole tables takes; None when a size is not known."""
        known = [each.seconds for each in self.findings]
        return None if None in known else sum(each or 0.0 for each in known)
