"""The guard's own probes, read by hand: the checks of its rules, and its rules judged once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from watchdog.app.procedures.parts import Outcome, Part, settled
from watchdog.app.procedures.place import Place
from watchdog.engine.assess import assess
from watchdog.engine.windows import empty, observe_all
from watchdog.model.guards import Guard, GuardSettings
from watchdog.model.rules import CheckRule, Expect
from watchdog.model.signals import Cause, Histogram, Missing, Sample, SignalId
from watchdog.model.time import MINUTE, Span
from watchdog.model.verdicts import Breach, NoData, Ok, ProbeFailed, Verdict
from watchdog.ports.clock import Clock
from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.runtime.bounded import within
from watchdog.runtime.observer import WatchedProbe

ROUNDS = 3
"""Readings that rules are judged on; a check is in breach when two in a row disagree."""


@dataclass(frozen=True)
class Said:
    """What a rule says.

    Attributes:
        verdict: `ok`, `breach`, `no data`, `probe failed` or `not judged yet`, as `watchdog status` has it.
    """

    rule: str
    verdict: str
    sentence: str


async def read(watched: WatchedProbe, clock: Clock) -> list[Sample]:
    """One reading of one probe; one that fails answers with why, for each of its signals."""
    task = await within(clock, watched.probe.read(), clock.now() + watched.timeout)
    now = clock.now()
    if task.cancelled():
        gone = Missing(Cause.UNREACHABLE, f"{watched.name}: no answer in time")
    else:
        try:
            readings = task.result()
        except ProbeError as error:
            gone = Missing(error.cause, str(error))
        except WatchdogError as error:
            gone = Missing(Cause.UNREACHABLE, str(error))
        else:
            return [
                Sample(SignalId(name, labels), now, value)
                for name, series in readings.items()
                for labels, value in series.items()
            ]
    return [Sample(SignalId(name), now, gone) for name in watched.signals]


async def check_values(where: Place) -> dict[str, float | Missing]:
    """Every signal that a `check` rule reads, read once; series of one signal are added up."""
    asked = {of.signal for _, ofs in _checks(where.guard.settings) for of in ofs.of}
    wanted = [watched for watched in where.probes if asked & set(watched.signals)]
    values: dict[str, float | Missing] = {}
    for watched in wanted:
        for sample in await read(watched, where.clock):
            name, value = sample.signal.name, sample.value
            if name not in asked or isinstance(value, Histogram):
                continue
            before = values.get(name, 0.0)
            values[name] = (
                before if isinstance(before, Missing) else value if isinstance(value, Missing) else before + value
            )
    return values


def check_part(
    name: str, settings: GuardSettings, values: Mapping[str, float | Missing], before: Mapping[str, float] | None = None
) -> Part:
    """Whether the checks answer what their rules expect.

    Args:
        before: What they answered before; a rule that expects no more than at the baseline allows that. Without it
            such a rule allows nothing: this is the time to look at what is wrong already.
    """
    wrong: list[str] = []
    unseen: list[str] = []
    numbers: dict[str, float] = {}
    for rule, one in _checks(settings):
        for signal in dict.fromkeys(of.signal for of in one.of):
            value = values.get(signal, Missing(Cause.NOT_YET, "no probe reads it"))
            if isinstance(value, Missing):
                unseen.append(f"{signal}: {value.detail or value.cause}")
                continue
            numbers[signal] = value
            allowed = _allowed(one, signal, before)
            if value > allowed or (one.expect is Expect.VALUE and value != allowed):
                wrong.append(f"{signal} (rule {rule}): {value:g}, {allowed:g} allowed")
    if not numbers and not unseen:
        return Part(name, Outcome.NOT_RUN, "the guard has no check rules")
    well = ", ".join(f"{signal} {value:g}" for signal, value in numbers.items())
    return settled(name, well, wrong=tuple(wrong), unseen=tuple(unseen), numbers=numbers)


def _checks(settings: GuardSettings) -> list[tuple[str, CheckRule]]:
    return [(rule.name, rule) for rule in settings.rules if isinstance(rule, CheckRule)]


def _allowed(rule: CheckRule, signal: str, before: Mapping[str, float] | None) -> float:
    match rule.expect:
        case Expect.VALUE:
            return rule.value
        case Expect.BASELINE:
            return (before or {}).get(signal, 0.0)
        case Expect.ZERO:
            return 0.0


async def judge_once(where: Place, length: Span) -> tuple[Said, ...]:
    """The guard's rules on a few readings of our own over `length`; a rule that needs a baseline has no data."""
    settings, clock = where.guard.settings, where.clock
    windows = empty(settings.signals, keep=15 * MINUTE)
    for number in range(ROUNDS):
        if number:
            await clock.sleep(length // (ROUNDS - 1))
        for samples in await asyncio.gather(*(read(watched, clock) for watched in where.probes)):
            windows = observe_all(windows, samples)
    verdicts = assess(Guard(settings), windows, clock.now()).verdicts
    return tuple(_said(rule, verdict) for rule, verdict in verdicts.items())


def _said(rule: str, verdict: Verdict) -> Said:
    match verdict:
        case Ok(evidence):
            return Said(rule, "ok", evidence.sentence)
        case Breach(evidence):
            return Said(rule, "breach", evidence.sentence)
        case NoData(cause, detail):
            return Said(rule, "no data", detail or str(cause))
        case ProbeFailed(error):
            return Said(rule, "probe failed", error)


def rules_part(name: str, said: Sequence[Said], source: str) -> Part:
    """What the rules say. No data is neither good nor bad; it fails nothing, and shows."""
    numbers = {word.replace(" ", "_"): float(count) for word, count in _tally(said).items()}
    lines = tuple(f"{one.rule}: {one.verdict}: {one.sentence}" for one in said)
    if any(one.verdict in {"breach", "probe failed"} for one in said):
        outcome = Outcome.FAILED
    elif any(one.verdict == "ok" for one in said):
        outcome = Outcome.OK
    else:
        outcome = Outcome.NOT_RUN
    counted = ", ".join(f"{count} {word}" for word, count in _tally(said).items()) or "no rules"
    return Part(name, outcome, f"{counted} ({source})", lines, numbers)


def _tally(said: Iterable[Said]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in said:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return counts
