"""Positive evidence that the release did it. Without any, data is not touched by itself."""

from collections.abc import Mapping

from watchdog.engine.windows import Windows, rise, select
from watchdog.model.guards import SchemaErrors
from watchdog.model.rules import Rule
from watchdog.model.signals import Selector
from watchdog.model.time import Time
from watchdog.model.verdicts import Basis, Breach, Verdict


def proof(
    windows: Windows,
    rules: tuple[Rule, ...],
    verdicts: Mapping[str, Verdict],
    counters: tuple[SchemaErrors, ...],
    t0: Time,
    now: Time,
) -> dict[str, str]:
    """What speaks for the release as the cause, by kind: one sentence each.

    Counted are database errors whose SQLSTATE points at the schema, risen since T-0 beyond what the counter shows
    before it, and breaches of rules that prove damage (integrity); `rules` are those that were well since T-0. What
    is literal only and has to hold proves nothing.
    """
    found: dict[str, str] = {}
    for errors in counters:
        found.update(_schema_errors(windows, errors, t0, now))
    for rule in rules:
        verdict = verdicts.get(rule.name)
        if not rule.proves or not isinstance(verdict, Breach):
            continue
        if verdict.evidence.basis is Basis.CONFIDENT or not rule.hold:
            found[f"integrity {rule.name}"] = verdict.evidence.sentence
    return found


def _schema_errors(windows: Windows, errors: SchemaErrors, t0: Time, now: Time) -> dict[str, str]:
    found: dict[str, str] = {}
    for code in errors.codes:
        selector = Selector(errors.signal, ((errors.label, code),))
        since = rise(windows, selector, t0, now)
        if since is None or since.amount < errors.min_count:
            continue
        oldest = min((series.times[0] for _, series in select(windows, selector) if series.times), default=t0)
        before = rise(windows, selector, oldest, t0)
        usual = before.amount / max(1, before.until - before.since) if before and before.amount else 0.0
        if not _explains(windows, errors, selector, t0, now):
            continue
        if since.amount > 2.0 * usual * (since.until - since.since) + errors.min_count - 1:
            found[f"SQLSTATE {code}"] = f"the service counted SQLSTATE {code} {since.amount:.0f} times since T-0"
    return found


def _explains(windows: Windows, errors: SchemaErrors, code: Selector, t0: Time, now: Time) -> bool:
    """Whether a code accounts for a real share of the requests that fail now: users make such mistakes, too."""
    if errors.bad is None:
        return True
    recent = max(t0, now - errors.window)
    bad, counted = rise(windows, errors.bad, recent, now), rise(windows, code, recent, now)
    return bad is not None and counted is not None and bad.amount > 0 and counted.amount >= errors.share * bad.amount
