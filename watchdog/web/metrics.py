"""The daemon's own metrics. Labels are bounded: names out of the configuration, and words out of the model."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog import __version__
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Guard, RunPhase
from watchdog.model.releases import ReleaseState
from watchdog.model.time import in_seconds
from watchdog.model.verdicts import Breach, NoData, Ok, ProbeFailed
from watchdog.ports.control import Control
from watchdog.web.reversibility import Kept, nothing_kept, reversibility
from watchdog.web.tally import Tally

NO_RELEASE: Final = "none"


def registry(control: Control, kept: Callable[[str], Kept] = nothing_kept) -> CollectorRegistry:
    """A registry of its own with everything about a daemon, and its process's memory and CPU time.

    Args:
        kept: What a guard's databases keep for the way back.
    """
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(DaemonCollector(control, kept))
    return made


class DaemonCollector(Collector):
    """Reads the daemon whenever it is scraped; nothing is counted twice or kept beside."""

    def __init__(self, control: Control, kept: Callable[[str], Kept] = nothing_kept) -> None:
        self._control = control
        self._kept = kept
        self._tallies: dict[str, Tally] = {}

    def collect(self) -> Iterator[Metric]:
        """Every metric, guard by guard."""
        guards = {name: self._control.guard(name) for name in self._control.guards()}
        for name, guard in guards.items():
            self._tallies.setdefault(name, Tally()).look(guard)
        yield InfoMetricFamily("watchdog_build", "The daemon.", value={"version": __version__})
        yield gauge("watchdog_ready", "1 when every guard is being watched.", float(self._control.ready()[0]))
        yield from _guards(guards)
        yield from self._rules(guards)
        yield from self._incidents(guards)
        yield from self._notices(guards)
        yield from self._reversibility(guards)
        yield from self._health()

    def _rules(self, guards: dict[str, Guard]) -> Iterator[Metric]:
        breach = GaugeMetricFamily(
            "watchdog_rule_breach",
            "1 while a rule is in breach; absent while it has no data.",
            labels=["guard", "rule"],
        )
        no_data = GaugeMetricFamily(
            "watchdog_rule_no_data", "1 while a rule has no data or its probe is broken.", labels=["guard", "rule"]
        )
        pending = GaugeMetricFamily(
            "watchdog_rule_pending_seconds", "How long a literal breach has held.", labels=["guard", "rule"]
        )
        now = self._control.now()
        for name, guard in guards.items():
            for rule, verdict in self._control.verdicts(name).items():
                no_data.add_metric([name, rule], float(isinstance(verdict, NoData | ProbeFailed)))
                if isinstance(verdict, Ok | Breach):
                    breach.add_metric([name, rule], float(isinstance(verdict, Breach)))
            for rule, one in guard.pending.items():
                pending.add_metric([name, rule], in_seconds(now - one.since))
        yield from (breach, no_data, pending)

    def _incidents(self, guards: dict[str, Guard]) -> Iterator[Metric]:
        is_open = GaugeMetricFamily("watchdog_incident_open", "1 while an incident is open.", labels=["guard"])
        opened = CounterMetricFamily("watchdog_incidents", "Incidents ever opened.", labels=["guard"])
        rung = GaugeMetricFamily("watchdog_run_rung", "1 for the rung that is due or acts.", labels=["guard", "rung"])
        data = CounterMetricFamily(
            "watchdog_data_rollbacks", "Data rungs entered since this process started.", labels=["guard"]
        )
        lasted = GaugeMetricFamily(
            "watchdog_rollback_seconds",
            "From the opening of the latest incident whose run has ended to that end.",
            labels=["guard", "outcome"],
        )
        detected = GaugeMetricFamily(
            "watchdog_detection_seconds", "From T-0 to the opening of the latest incident.", labels=["guard"]
        )
        for name, guard in guards.items():
            incident = guard.incident
            is_open.add_metric([name], float(incident is not None and incident.resolved_at is None))
            opened.add_metric([name], guard.incidents)
            data.add_metric([name], self._tallies[name].data_rollbacks)
            run = incident.run if incident is not None else None
            for one in guard.settings.playbook.rungs:
                due = run is not None and run.phase is not RunPhase.ENDED and run.rung is not None
                rung.add_metric([name, one.kind], float(due and run is not None and run.rung == one))
            if incident is not None and run is not None and run.ended_at is not None:
                lasted.add_metric([name, str(run.outcome)], in_seconds(run.ended_at - incident.opened_at))
            release = guard.release
            if incident is not None and release is not None and release.t0 <= incident.opened_at:
                detected.add_metric([name], in_seconds(incident.opened_at - release.t0))
        yield from (is_open, opened, rung, data, lasted, detected)

    def _notices(self, guards: dict[str, Guard]) -> Iterator[Metric]:
        settled = CounterMetricFamily(
            "watchdog_notices", "Notices settled since this process started.", labels=["guard", "outcome"]
        )
        owed = GaugeMetricFamily("watchdog_notices_owed", "Notices that are not settled.", labels=["guard"])
        late = GaugeMetricFamily(
            "watchdog_notice_late_seconds_max", "The latest of the notices of the last incident.", labels=["guard"]
        )
        for name, guard in guards.items():
            counted = self._tallies[name].notices
            for outcome in NoticeOutcome:
                settled.add_metric([name, outcome], counted.get(outcome, 0))
            records = guard.notices.values()
            owed.add_metric([name], sum(one.outcome is None for one in records))
            late.add_metric([name], in_seconds(max((one.late_by for one in records), default=0)))
        yield from (settled, owed, late)

    def _reversibility(self, guards: dict[str, Guard]) -> Iterator[Metric]:
        """Only of releases that could still be taken back."""
        shown = {
            "certificate_valid": "1 when the rollback of the release was shown to restore schema and data.",
            "rollback_budget_seconds": "How long a climb may take.",
            "rollback_predicted_seconds": "How long the rollback will take; absent while it is not proven.",
            "rollback_budget_met": "1 when the predicted rollback fits the budget.",
            "release_migrations": "Migrations of the release.",
            "release_archived_runs": "Runs of the release whose archives are kept; absent when nobody could count.",
            "release_past_return": "Runs of the release that cannot be taken back any more.",
            "release_return_until_timestamp_seconds": "When its first archive may be dropped; absent for never.",
            "release_protection_lowered": "1 when a change log was ended before it hurt.",
            "backup_age_seconds": "Since write-ahead log was last archived; absent where the server archives none.",
        }
        families = {name: GaugeMetricFamily(f"watchdog_{name}", text, labels=["guard"]) for name, text in shown.items()}
        for name, guard in guards.items():
            found = reversibility(guard, self._kept(name))
            if found is None:
                continue
            values = {
                "certificate_valid": float(found.certificate_valid),
                "rollback_budget_seconds": in_seconds(found.budget),
                "rollback_predicted_seconds": _seconds(found.predicted),
                "rollback_budget_met": float(found.budget_met),
                "release_migrations": float(found.migrations),
                "release_archived_runs": found.kept.archived,
                "release_past_return": float(found.kept.past),
                "release_return_until_timestamp_seconds": _seconds(found.kept.until),
                "release_protection_lowered": float(bool(found.kept.lowered)),
                "backup_age_seconds": _seconds(found.kept.backup_age),
            }
            for metric, value in values.items():
                if value is not None:
                    families[metric].add_metric([name], value)
        yield from families.values()

    def _health(self) -> Iterator[Metric]:
        health = self._control.gauges()
        lag = GaugeMetricFamily(
            "watchdog_tick_lag_seconds", "How late the last evaluation of a guard began.", labels=["guard"]
        )
        took = GaugeMetricFamily(
            "watchdog_probe_duration_seconds", "Duration of a probe's last reading.", labels=["guard", "probe"]
        )
        failed = CounterMetricFamily("watchdog_probe_failures", "Failed readings.", labels=["guard", "probe"])
        for guard, length in health.tick_lag.items():
            lag.add_metric([guard], in_seconds(length))
        for (guard, probe), seconds in health.probe_seconds.items():
            took.add_metric([guard, probe], seconds)
            failed.add_metric([guard, probe], health.probe_failures.get((guard, probe), 0))
        yield from (lag, took, failed)
        yield gauge(
            "watchdog_journal_append_seconds", "Duration of the last append to the journal.", health.append_seconds
        )


def _seconds(length: int | None) -> float | None:
    return None if length is None else in_seconds(length)


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def _guards(guards: dict[str, Guard]) -> Iterator[Metric]:
    info = InfoMetricFamily("watchdog_guard", "Guards and what they climb by.", labels=["guard"])
    state = GaugeMetricFamily(
        "watchdog_release_state", "1 for the state that the latest release is in.", labels=["guard", "state"]
    )
    frozen = GaugeMetricFamily("watchdog_frozen", "1 while a person has frozen the guard.", labels=["guard"])
    epoch = GaugeMetricFamily("watchdog_epoch", "The epoch under which the guard is held.", labels=["guard"])
    for name, guard in guards.items():
        info.add_metric([name], {"playbook": guard.settings.playbook.name, "autonomy": guard.autonomy})
        current = guard.release.state if guard.release is not None else NO_RELEASE
        for one in (NO_RELEASE, *ReleaseState):
            state.add_metric([name, one], float(one == current))
        frozen.add_metric([name], float(guard.frozen is not None))
        epoch.add_metric([name], guard.epoch)
    yield from (info, state, frozen, epoch)
