"""Positive evidence that the release did it. Without any, data is not touched by itself."""

from collections.abc import Mapping

from watchdog.engine.baseline import rate_before
from watchdog.engine.windows import Windows, rise, select
from watchdog.model.guards import Baseline, SchemaErrors
from watchdog.model.rules import Rule
from watchdog.model.signals import Selector
from watchdog.model.time import Time, in_seconds, say_span
from watchdog.model.verdicts import Basis, Breach, Verdict


def proof(
    windows: Windows,
    rules: tuple[Rule, ...],
    verdicts: Mapping[str, Verdict],
    counters: tuple[SchemaErrors, ...],
    t0: Time,
    now: Time,
    *,
    baseline: Baseline | None = None,
) -> dict[str, str]:
    """What speaks for the release as the cause, by kind: one sentence each.

    Counted are database errors whose SQLSTATE points at the schema, risen since T-0 beyond what the counter shows
    before it, and breaches of rules that prove damage (integrity); `rules` are those that were well since T-0. What
    is literal only and has to hold proves nothing.
    """
    found: dict[str, str] = {}
    for errors in counters:
        found.update(_schema_errors(windows, errors, t0, now, baseline))
    for rule in rules:
        verdict = verdicts.get(rule.name)
        if not rule.proves or not isinstance(verdict, Breach):
            continue
        if verdict.evidence.basis is Basis.CONFIDENT or not rule.hold:
            found[f"integrity {rule.name}"] = verdict.evidence.sentence
    return found


def _schema_errors(
    windows: Windows, errors: SchemaErrors, t0: Time, now: Time, baseline: Baseline | None
) -> dict[str, str]:
    found: dict[str, str] = {}
    for code in errors.codes:
        selector = Selector(errors.signal, ((errors.label, code),))
        since = rise(windows, selector, t0, now)
        if since is None or since.amount < errors.min_count:
            continue
        if not _explains(windows, errors, selector, t0, now):
            continue
        usual = _usual(windows, selector, t0, baseline)
        if since.amount > 2.0 * usual * in_seconds(since.until - since.since) + errors.min_count - 1:
            # The windows may not reach back to T-0 any more.
            length = say_span(since.until - since.since)
            found[f"SQLSTATE {code}"] = f"the service counted SQLSTATE {code} {since.amount:.0f} times in {length}"
    return found


def _usual(windows: Windows, selector: Selector, t0: Time, baseline: Baseline | None) -> float:
    """How often a code was counted a second before T-0."""
    if baseline is not None:
        return rate_before(baseline, selector.signal, selector.where)
    oldest = min((series.times[0] for _, series in select(windows, selector) if series.times), default=t0)
    before = rise(windows, selector, oldest, t0)
    return before.amount / in_seconds(max(1, before.until - before.since)) if before and before.amount else 0.0


def _explains(windows: Windows, errors: SchemaErrors, code: Selector, t0: Time, now: Time) -> bool:
    """Whether a code accounts for a real share of the requests that fail now: users make such mistakes, too."""
    if errors.bad is None:
        return True
    recent = max(t0, now - errors.window)
    bad, counted = rise(windows, errors.bad, recent, now), rise(windows, code, recent, now)
    return bad is not None and counted is not None and bad.amount > 0 and counted.amount >= errors.share * bad.amount
