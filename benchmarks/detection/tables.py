"""What was found, as Markdown; misses stand beside their goals."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from statistics import median
from typing import Final

from benchmarks.detection.bounds import a_day, percentile
from benchmarks.detection.clean import OF_ERRORS, OF_LATENCY, RANKS, THREE, Tally
from benchmarks.detection.cost import GOAL, Cost
from benchmarks.detection.delay import GOALS, Delays
from benchmarks.detection.incidents import Outcome
from benchmarks.detection.kinds import GUILTY, INNOCENT, Kind
from benchmarks.detection.traffic import SAYS
from watchdog.model.rules import Mode, RungKind

AIM: Final = 370
"""Clean days of a regime: 0 firings in so many is an upper two-sided 95 % bound of 0.01 a day."""


def clean_tables(tallies: Sequence[Tally]) -> Iterator[str]:
    """False alarms."""
    yield "## Clean days: false alarms"
    yield ""
    days = min(one.days for one in tallies)
    yield f"{days} days of each regime, {sum(one.days for one in tallies)} in all. Shapes of a day:"
    yield ""
    yield from (f"- {shape}: {says}" for shape, says in SAYS.items())
    if days < AIM:
        yield f"\n**Fewer than the {AIM} days a regime that the goal asks for.**"
    errors = [one for one in tallies if one.what == OF_ERRORS]
    slow = [one for one in tallies if one.what == OF_LATENCY]
    yield from ("", "Days with a firing, error rate, by rate and burstiness:", "")
    yield from _days(errors, lambda one: f"{one.regime.rate:g}/s, burstiness {one.regime.burstiness:g}")
    yield from ("", "The same by what is normal and by the shape of the day:", "")
    yield from _days(errors, lambda one: f"{one.regime.errors:.0%} errors, {one.regime.shape}")
    yield from ("", "Days with a firing, latency:", "")
    yield from _days(slow, lambda one: f"{one.regime.rate:g}/s, burstiness {one.regime.burstiness:g}")
    yield from ("", "Firings a day, with the two-sided 95 % bounds of a Poisson mean:", "")
    yield from _firings(("error rate", errors), ("latency", slow))
    yield from _ladder(tallies)
    yield from _goal(tallies)


def _days(tallies: Sequence[Tally], row: Callable[[Tally], str]) -> Iterator[str]:
    names = [Mode.LITERAL, Mode.CONFIDENT, Mode.EITHER]
    others = any(one.ranked for one in tallies)
    yield f"| regime | days | {' | '.join(names)} |{f' {THREE} | {RANKS} |' if others else ''}"
    yield "|---|---:|" + "---:|" * (len(names) + 2 * others)
    for said, group in _grouped(tallies, row):
        cells = [f"{sum(one.fired[name] for one in group)}" for name in names]
        if others:
            ranked = sum(one.ranked for one in group)
            cells.append(f"{sum(one.fired[THREE] for one in group)}")
            cells.append(f"{sum(one.fired[RANKS] for one in group)} of {ranked}")
        yield f"| {said} | {sum(one.days for one in group)} | {' | '.join(cells)} |"


def _grouped(tallies: Iterable[Tally], row: Callable[[Tally], str]) -> Iterator[tuple[str, list[Tally]]]:
    groups: dict[str, list[Tally]] = {}
    for one in tallies:
        groups.setdefault(row(one), []).append(one)
    yield from groups.items()
    yield "all", [one for group in groups.values() for one in group]


def _firings(*named: tuple[str, Sequence[Tally]]) -> Iterator[str]:
    names = [Mode.LITERAL, Mode.CONFIDENT, Mode.EITHER, THREE]
    yield f"| rule | {' | '.join(names)} |"
    yield "|---|" + "---:|" * len(names)
    for said, tallies in named:
        days = sum(one.days for one in tallies)
        counts = {name: sum(one.firings[name] for one in tallies) for name in names}
        cells = [a_day(counts[name], days) if name != THREE or said == "error rate" else "" for name in names]
        yield f"| {said} | {' | '.join(cells)} |"


def _ladder(tallies: Sequence[Tally]) -> Iterator[str]:
    data: Counter[str] = sum((one.data for one in tallies), Counter())
    yield ""
    yield (
        f"{data.total()} of the firings of `either` were played again with the engine's own `assess` and `decide`, the"
        " shipped ladder, and users' mistakes that count one SQLSTATE 23502 an hour: the data rung acted by itself in"
        f" **{data['automatic']}**, was proposed in {data['proposed']}, not reached in {data['not reached']}."
    )


def _goal(tallies: Sequence[Tally]) -> Iterator[str]:
    missed = [one for one in tallies if one.fired[Mode.CONFIDENT]]
    rolled = [one for one in tallies if one.data["automatic"]]
    yield ""
    yield (
        f"Goal, `confident` fires in no regime: **{'met' if not missed else 'missed'}**"
        f" ({len(tallies) - len(missed)} of {len(tallies)} regimes without a firing)."
        f" Goal, no automatic data rollback in `either`: **{'met' if not rolled else 'missed'}**"
        f" ({len(rolled)} regimes with one)."
    )
    if missed:
        yield from ("", "| regime in which `confident` fired | days with a firing | firings a day |", "|---|---:|---:|")
    for one in sorted(missed, key=lambda one: -one.fired[Mode.CONFIDENT]):
        count = one.fired[Mode.CONFIDENT]
        yield (f"| {one.what}: {one.regime} | {count} of {one.days} | {a_day(one.firings[Mode.CONFIDENT], one.days)} |")
    for one in rolled:
        yield f"| data rolled back in {one.what}: {one.regime} | {one.data['automatic']} replays | |"


def delay_tables(found: Sequence[Delays]) -> Iterator[str]:
    """Time to see a fault."""
    count = max(len(one.seconds[Mode.EITHER]) for one in found)
    yield "## Delay"
    yield ""
    yield (
        f"Seconds from the beginning of a fault, at any moment between two readings, to the breach that opens an"
        f" incident; median / 95th percentile of {count} faults each, read every 5 s, followed for 20 minutes;"
        " `-` was not seen by then. Half of the faults begin at T-0, half 15 minutes later."
    )
    for what, says in ((OF_ERRORS, "errors"), (OF_LATENCY, "latency")):
        yield from ("", f"### {says.capitalize()}", "")
        yield "| fault | burstiness | rate | literal | confident | either | goal |"
        yield "|---|---:|---:|---:|---:|---:|---|"
        yield from _delay_rows([one for one in found if one.fault.what == what])
    yield from ("", "By where it begins, errors, `either`, all rates from 2 a second up, burstiness at most 0.02:", "")
    yield from ("| fault | from T-0 | from the middle of a bake |", "|---|---:|---:|")
    yield from _beginnings([one for one in found if one.fault.what == OF_ERRORS])
    yield ""
    later, early = sum(one.later for one in found), sum(one.early for one in found)
    yield f"`either` was later than `literal` in {later} faults (the goal is none). {early} series had fired before."


def _delay_rows(found: Sequence[Delays]) -> Iterator[str]:
    pairs: dict[tuple[float, float, float], list[Delays]] = {}
    for one in found:
        pairs.setdefault((one.fault.size, one.fault.burstiness, one.fault.rate), []).append(one)
    for (size, burstiness, rate), group in pairs.items():
        seconds = {mode: [value for one in group for value in one.seconds[mode]] for mode in Mode}
        cells = [_delay(seconds[mode]) for mode in (Mode.LITERAL, Mode.CONFIDENT, Mode.EITHER)]
        of_errors = group[0].fault.what == OF_ERRORS
        said = f"{size:.0%} errors" if of_errors else f"{size:g} times the latency"
        goal = ""
        if of_errors and size in GOALS and rate >= 2 and burstiness <= 0.02:
            goal = f"≤ {GOALS[size]:.0f}: {'met' if median(seconds[Mode.CONFIDENT]) <= GOALS[size] else '**missed**'}"
        yield f"| {said} | {burstiness:g} | {rate:g}/s | {' | '.join(cells)} | {goal} |"


def _beginnings(found: Sequence[Delays]) -> Iterator[str]:
    fast = [one for one in found if one.fault.rate >= 2 and one.fault.burstiness <= 0.02]
    for size in dict.fromkeys(one.fault.size for one in fast):
        cells = []
        for middle in (False, True):
            group = [one for one in fast if one.fault.size == size and one.fault.middle is middle]
            cells.append(_delay([value for one in group for value in one.seconds[Mode.EITHER]]))
        yield f"| {size:.0%} errors | {' | '.join(cells)} |"


def _delay(seconds: Sequence[float]) -> str:
    return f"{_number(percentile(seconds, 0.5))} / {_number(percentile(seconds, 0.95))}"


def _number(value: float) -> str:
    return "-" if value == inf else f"{value:.0f}"


def incident_tables(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Innocent and guilty."""
    yield "## Incidents during a release"
    yield ""
    yield (
        "The shipped rules and the shipped ladder, every rung set to act, certificate and protection full; 2 to 200"
        " requests a second, burstiness 0 or 0.02, up to four SQLSTATE 23502 an hour by users' own mistakes. Half of"
        " the releases have old and new version side by side. Followed for twelve minutes; `opened` is the median."
    )
    yield from ("", "### Innocent: nothing of the release is to blame", "")
    yield "| kind | incidents | opened (s) | flag acted | code acted | data proposed | data rolled back by itself |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for kind in INNOCENT:
        ones = [one for one in outcomes if one.kind == kind.name]
        if ones:
            yield _innocent(kind, ones)
    yield from ("", "### Guilty: the release did it", "")
    yield (
        "| kind | right rung | incidents | opened (s) | reversed there by itself | how fast, median / p95 (s) |"
        " reversed, not proven | data proposed | data by itself |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for kind in GUILTY:
        ones = [one for one in outcomes if one.kind == kind.name]
        if ones:
            yield _guilty(kind, ones)
    yield from _incident_notes(outcomes)


def _opened(ones: Sequence[Outcome]) -> str:
    seen = [one.opened for one in ones if one.opened is not None]
    if not seen:
        return "none"
    return f"{len(seen)}, {median(seen):.0f}"


def _innocent(kind: Kind, ones: Sequence[Outcome]) -> str:
    acted = Counter(rung for one in ones for rung in set(one.acted))
    data = Counter(one.data for one in ones)
    cells = [f"{acted[RungKind.FLAG]}", f"{acted[RungKind.CODE]}", f"{data['proposed']}", f"**{data['automatic']}**"]
    return f"| {kind.name} | {len(ones)} | {_opened(ones)} | {' | '.join(cells)} |"


def _guilty(kind: Kind, ones: Sequence[Outcome]) -> str:
    data = Counter(one.data for one in ones)
    ended = [one.ended for one in ones if one.ended is not None]
    fast = f"{median(ended):.0f} / {percentile(ended, 0.95):.0f}" if ended else "-"
    right = " or ".join(kind.ends)
    unproven = sum(one.healed and one.ended is None for one in ones)
    cells = [
        f"{len(ended)} ({len(ended) / len(ones):.0%})",
        fast,
        f"{unproven}",
        f"{data['proposed']}",
        f"{data['automatic']}",
    ]
    return f"| {kind.name} | {right} | {len(ones)} | {_opened(ones)} | {' | '.join(cells)} |"


def _incident_notes(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield ""
    yield "*Reversed, not proven*: the service is well again, and too few requests came to say so in time."
    yield ""
    yield from (f"- {kind.name}: {kind.note}." for kind in (*INNOCENT, *GUILTY) if kind.note)
    names = {kind.name for kind in INNOCENT}
    wrong = [one for one in outcomes if one.kind in names and one.data == "automatic"]
    yield ""
    yield f"Goal, no innocent incident rolls data back by itself: **{'missed' if wrong else 'met'}** ({len(wrong)})."
    for name in dict.fromkeys(one.kind for one in wrong):
        reasons = [one.reason for one in wrong if one.kind == name]
        yield f"- {name}, {len(reasons)} times; for example: {reasons[0]}"
    cheaper = {kind.name for kind in GUILTY if RungKind.DATA not in kind.ends}
    needless = Counter(one.kind for one in outcomes if one.kind in cheaper and one.data == "automatic")
    yield ""
    yield f"Data rolled back by itself where a lower rung was right: {needless.total()}."
    yield from (f"- {name}: {count}" for name, count in needless.items())
    yield from ("", "Why the data rung waited for a person in guilty incidents whose right rung is data:", "")
    meant = {kind.name for kind in GUILTY if RungKind.DATA in kind.ends}
    waited = Counter((one.kind, _blank(one.reason)) for one in outcomes if one.kind in meant and one.data == "proposed")
    yield from (f"- {kind}, {count} times: {reason}" for (kind, reason), count in waited.most_common(12))
    if not waited:
        yield "- it did not."


def _blank(reason: str) -> str:
    """Without its figures, so that alike reasons count as one."""
    return "".join("#" if letter.isdigit() else letter for letter in reason.partition(":")[0])


def cost_tables(costs: Sequence[Cost]) -> Iterator[str]:
    """What a tick costs."""
    yield "## Cost of a tick"
    yield ""
    yield (
        "One process on one core: guards of 20 signals and 20 rules, one sample a signal and tick, windows full"
        " (20 minutes of 5 s), every rule well. Taking up the samples, judging every rule and deciding; milliseconds."
    )
    yield from ("", "| signals and rules | p50 | p99 | samples, p50 | judging and deciding, p50 | a signal (µs) |")
    yield "|---:|---:|---:|---:|---:|---:|"
    for one in costs:
        middle = percentile(one.whole, 0.5)
        cells = [middle, one.p99, percentile(one.observe, 0.5), percentile(one.decide, 0.5)]
        said = " | ".join(f"{value * 1e3:.1f}" for value in cells)
        yield f"| {one.signals} | {said} | {middle / one.signals * 1e6:.0f} |"
    memory = costs[0].bytes_a_signal
    parts = ", ".join(f"{kind} {size / 1024:.0f} KiB" for kind, size in memory.items())
    yield from ("", f"Memory of a full window: {parts} (a histogram of 12 buckets). It is fixed: older samples go.")
    goal = next((one for one in costs if one.signals == 1_000), None)
    if goal is not None:
        yield ""
        yield f"Goal, p99 < {GOAL * 1e3:.0f} ms at 1,000: **{'met' if goal.p99 < GOAL else 'missed'}**."
