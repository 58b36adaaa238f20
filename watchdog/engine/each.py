"""A rule over each value of a label: the part of the traffic that fails is seen, however small it is.

Every value is one more look, and with many looks one is bad by chance: so the bound of the test is made stricter with
their number (C. Bonferroni, Teoria statistica delle classi e calcolo delle probabilità, 1936).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import NormalDist
from typing import Final

from watchdog.engine.windows import Windows, age, select
from watchdog.model.rules import Confidence, LatencyRule, RatioRule
from watchdog.model.signals import Selector
from watchdog.model.time import Time
from watchdog.model.verdicts import Basis, Breach, Evidence, Ok, Verdict

MOST: Final = 100
"""Values that are judged by themselves, those with the most traffic; labels that never end cost no more."""
RECENT: Final = 13
"""Readings over which traffic is compared: pods of a new release have no long past."""
_SURE: Final = 8.0
"""Quantiles beyond this are not corrected: the float has no digits left for it."""


def each_ratio(rule: RatioRule, windows: Windows, now: Time) -> Iterator[RatioRule]:
    """The rule for each value of its label that is being read; the rule itself without a label, or a value."""
    found = values(windows, rule.total, rule.each, now)
    confidence = stricter(rule.confidence, len(found))
    if not found:
        yield rule
    for value in found:
        bad, total = narrowed(rule.bad, rule.each, value), narrowed(rule.total, rule.each, value)
        yield replace(rule, bad=bad, total=total, confidence=confidence)


def each_latency(rule: LatencyRule, windows: Windows, now: Time) -> Iterator[LatencyRule]:
    """As `each_ratio`."""
    found = values(windows, rule.of, rule.each, now)
    confidence = stricter(rule.confidence, len(found))
    if not found:
        yield rule
    for value in found:
        yield replace(rule, of=narrowed(rule.of, rule.each, value), confidence=confidence)


def values(windows: Windows, of: Selector, label: str, now: Time) -> tuple[str, ...]:
    """The values of a label that are being read, in order; those with the least traffic left out beyond `MOST`."""
    if not label:
        return ()
    oldest = now - age(windows, of.signal)
    traffic: dict[str, float] = {}
    for labels, series in select(windows, of):
        value = dict(labels).get(label)
        if value is not None and series.newest is not None and series.newest >= oldest:
            before = series.totals[max(0, len(series.totals) - RECENT)]
            traffic[value] = traffic.get(value, 0.0) + series.totals[-1][-1] - before[-1]
    busiest = sorted(traffic, key=lambda value: (-traffic[value], value))
    return tuple(sorted(busiest[:MOST]))


def narrowed(of: Selector, label: str, value: str) -> Selector:
    """The same with one label more."""
    return Selector(of.signal, tuple(sorted({*of.where, (label, value)})))


def stricter(confidence: Confidence, looks: int) -> Confidence:
    """The same chance of a false alarm over so many looks as over one."""
    if looks <= 1 or confidence.z >= _SURE:
        return confidence
    normal = NormalDist()
    return replace(confidence, z=-normal.inv_cdf((1.0 - normal.cdf(confidence.z)) / looks))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of the value that is worst off; no data only where no value has any."""
    found = list(verdicts)
    return max(found, key=_badness)


def _badness(verdict: Verdict) -> tuple[int, float]:
    match verdict:
        case Breach(evidence):
            return (3 if evidence.basis is Basis.CONFIDENT else 2, _share(evidence))
        case Ok(evidence, near):
            return 1, _share(evidence) + near
        case _:
            return 0, 0.0


def _share(evidence: Evidence) -> float:
    return evidence.number("recent_share") or 0.0
