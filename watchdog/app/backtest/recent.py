"""The last hour of a guard, out of the samples that its daemon keeps, judged again."""

import asyncio
import sqlite3
import tempfile
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import Recorded
from watchdog.app.backtest.replay import FOREVER, Scenario, replay
from watchdog.app.backtest.result import Seen
from watchdog.app.compose import find_guard
from watchdog.app.registries import registries
from watchdog.config import load
from watchdog.journals.samples import SqliteSamples
from watchdog.model.signals import Sample
from watchdog.model.time import Span, Time

SAMPLES = "samples.db"
"""Beside the journal."""


@dataclass(frozen=True)
class Recent:
    """What each rule's figure was.

    Attributes:
        figures: By the rule's name, one for each moment; not a number where there was none.
        thresholds: By the rule's name, where it has one.
    """

    times: Sequence[Time]
    figures: dict[str, Sequence[float]]
    thresholds: dict[str, float]


async def recent(config: Path, guard_name: str, t0: Time | None) -> Recent:
    """The figures of a guard's rules over the samples that are kept.

    Args:
        t0: Of the release under watch; its baseline is made again as far as samples reach back.

    Raises:
        ConfigError: The configuration has mistakes, or cannot be read in this environment.
        NoGuardError: There is no such guard.
        InputError: No samples are kept.
        JournalError: They cannot be read.
    """
    configuration = load(config, registries())
    settings = find_guard(configuration, guard_name).settings
    path = configuration.journal.path.with_name(SAMPLES)
    every = min((signal.every for signal in settings.signals), default=0)
    samples = await _kept(path, guard_name)
    if not samples or not every:
        raise InputError(f"{path} has no samples of guard {guard_name}")
    history = _on_grid(str(path), samples, every)
    scenario = Scenario(
        t0=history.times[-1] if t0 is None else t0,
        rules=settings.rules,
        signals=settings.signals,
        evidence=settings.evidence,
        versions=settings.versions,
        queries=settings.queries,
        brakes=settings.brakes,
        baseline=settings.baseline,
        min_baseline=settings.min_baseline,
        applying=FOREVER,
    )
    seen = Seen.of(settings.rules, {})
    for tick in replay(scenario, history):
        seen.take(tick)
    return Recent(
        times=history.times,
        figures={name: one.figures for name, one in seen.rules.items()},
        thresholds={name: one.threshold for name, one in seen.rules.items() if one.threshold is not None},
    )


async def _kept(path: Path, guard: str) -> Sequence[Sample]:
    """From a snapshot, so that the daemon's own file is only read."""
    with tempfile.TemporaryDirectory(prefix="watchdog-") as directory:
        copy = Path(directory) / SAMPLES
        await asyncio.to_thread(_snapshot, path, copy)
        store = await SqliteSamples.open(copy, keep=FOREVER)
        try:
            return await store.read(guard, 0)
        finally:
            await store.close()


def _snapshot(path: Path, copy: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} is not there: this guard's daemon keeps its samples elsewhere, or has not run yet")
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _on_grid(source: str, samples: Sequence[Sample], every: Span) -> Recorded:
    """Probes answer at instants of their own; a guard is judged once an interval, on all that came since."""
    first, last = samples[0].at, max(sample.at for sample in samples)
    times = range(first, last + every, every)
    by_time: dict[Time, list[Sample]] = {}
    for sample in samples:
        by_time.setdefault(times[bisect_left(times, sample.at)], []).append(sample)
    return Recorded(source, times, by_time, {sample.signal.name for sample in samples})
