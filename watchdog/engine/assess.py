"""One evaluation: everything the windows say, put together for `decide`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from watchdog.engine.attribution import attribute, slower
from watchdog.engine.composite import judge_composite, recheck_composite
from watchdog.engine.doubts import Neighbour, doubts
from watchdog.engine.judge import judge
from watchdog.engine.proof import proof
from watchdog.engine.recheck import recheck
from watchdog.engine.scope import in_scope
from watchdog.engine.windows import Windows
from watchdog.model.attribution import Attribution, Origin
from watchdog.model.guards import Baseline, Guard, RunPhase
from watchdog.model.inputs import Judged
from watchdog.model.rules import CompositeRule, Rule
from watchdog.model.time import Time
from watchdog.model.verdicts import Recheck, Verdict


def assess(guard: Guard, windows: Windows, now: Time, neighbours: Iterable[Neighbour] = ()) -> Judged:
    """Judges every rule; while a rung's recovery is open, judges the incident's rules since that rung as well.

    Args:
        neighbours: The other guards of the daemon: what happens to them may have the same cause.
    """
    release = guard.release
    baseline = release.baseline if release is not None else None
    floored = replace(windows, floor=guard.well_since) if guard.well_since else windows
    rules = tuple(rule for rule in guard.settings.rules if in_scope(rule, release))
    verdicts = _verdicts(rules, floored, baseline, now)
    found: dict[str, str] = {}
    if release is not None and release.watched:
        armed = tuple(rule for rule in rules if rule.name not in release.unarmed)
        since = max(release.t0, guard.well_since)
        found = proof(windows, armed, verdicts, guard.settings.evidence, since, now, baseline=baseline)
    return Judged(
        verdicts,
        rechecks=_rechecks(guard, windows, now),
        proof=found,
        attribution=_attribution(guard, windows, found, now),
        doubts=doubts(guard, neighbours, windows, now),
    )


def _verdicts(rules: tuple[Rule, ...], windows: Windows, baseline: Baseline | None, now: Time) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {
        rule.name: judge(rule, windows, baseline, now) for rule in rules if not isinstance(rule, CompositeRule)
    }
    composed = {rule.name: judge_composite(rule, found, now) for rule in rules if isinstance(rule, CompositeRule)}
    return found | composed


def _attribution(guard: Guard, windows: Windows, found: Mapping[str, str], now: Time) -> Attribution | None:
    """The first comparison that tells something; which statements became slower is only said."""
    release = guard.release
    if release is None or not release.watched:
        return None
    since = max(release.t0, guard.well_since)
    told = [attribute(windows, one, release.release, found, since, now) for one in guard.settings.versions]
    first = next((one for one in told if one.origin is not Origin.UNKNOWN), next(iter(told), None))
    said = [slower(windows, one, release.baseline, since, now) for one in guard.settings.queries]
    slow = next(filter(None, said), "")
    if not slow:
        return first
    return replace(first, why=f"{first.why}; {slow}") if first else Attribution(Origin.UNKNOWN, slow)


def _rechecks(guard: Guard, windows: Windows, now: Time) -> tuple[Recheck, ...]:
    incident = guard.incident
    run = incident.run if incident is not None else None
    if incident is None or run is None or run.phase is not RunPhase.JUDGING or run.judging_since is None:
        return ()
    since = run.judging_since
    baseline = guard.release.baseline if guard.release is not None else None
    asked = [rule for rule in guard.settings.rules if rule.name in incident.rules]
    members = {name for rule in asked if isinstance(rule, CompositeRule) for name in rule.of}
    simple = {
        rule.name: recheck(rule, windows, baseline, since, now)
        for rule in guard.settings.rules
        if not isinstance(rule, CompositeRule) and (rule in asked or rule.name in members)
    }
    return tuple(
        recheck_composite(rule, simple) if isinstance(rule, CompositeRule) else simple[rule.name] for rule in asked
    )
