"""Counters over guards whose state forgets: what was seen is counted once, and never taken back."""

from dataclasses import dataclass, field

from watchdog.model.guards import Guard


@dataclass
class Tally:
    """Counts of one guard since this process first looked. What comes and goes between two looks is not seen."""

    notices: dict[str, int] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)
    _rollbacks: dict[tuple[str, int], int] = field(default_factory=dict)

    def look(self, guard: Guard) -> None:
        """Counts what is new."""
        settled = {key: one.outcome for key, one in guard.notices.items() if one.outcome is not None}
        for key, outcome in settled.items():
            if key not in self._counted:
                self.notices[outcome] = self.notices.get(outcome, 0) + 1
        self._counted = set(settled)
        if guard.release is not None:
            self._rollbacks[guard.release.release.id, guard.release.t0] = guard.release.data_rollbacks

    @property
    def data_rollbacks(self) -> int:
        """Data rungs entered."""
        return sum(self._rollbacks.values())
