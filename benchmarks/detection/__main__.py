"""`python -m benchmarks.detection`: every table of `docs/detection.md`, seeded."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.detection import plots
from benchmarks.detection.clean import Tally, regimes, tally
from benchmarks.detection.cost import SIZES, Cost, cost
from benchmarks.detection.delay import Delays, delays, faults
from benchmarks.detection.incidents import Outcome, play
from benchmarks.detection.kinds import Kind, kinds
from benchmarks.detection.tables import clean_tables, cost_tables, delay_tables, incident_tables
from benchmarks.detection.watched import ROOT, shipped
from watchdog.model.guards import GuardSettings

PAGE: Final = ROOT / "docs" / "detection.md"
PLOTS: Final = Path(__file__).resolve().parent / "plots"
BEGIN: Final = "<!-- measured -->"
END: Final = "<!-- end of what was measured -->"
SECTIONS: Final = ("clean", "delay", "incidents", "cost")
T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How much is simulated: clean days of a regime, faults of a size, incidents of a kind, ticks that are timed."""

    days: int
    faults: int
    incidents: int
    ticks: int
    sizes: tuple[int, ...] = SIZES


def scale(days: int, incidents: int, *, quick: bool) -> Scale:
    """The whole of it, or a smoke test that takes less than a minute."""
    if quick:
        return Scale(days=1, faults=5, incidents=2, ticks=5, sizes=SIZES[:1])
    return Scale(days, incidents, incidents, ticks=200)


def _together(pool: ProcessPoolExecutor, what: str, jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Every job on the pool, their answers in order."""
    began = time.monotonic()
    waiting: list[Future[T]] = [pool.submit(job) for job in jobs]
    found = [one.result() for one in waiting]
    say(f"<!-- {what}: {len(jobs)} jobs in {time.monotonic() - began:.0f} s -->")
    return found


def _incidents(settings: GuardSettings, kind: Kind, count: int, seed: Sequence[int]) -> list[Outcome]:
    return [play(settings, kind, (*seed, number)) for number in range(count)]


def run(pool: ProcessPoolExecutor, wanted: Sequence[str], how: Scale, seed: int, *, whole: bool) -> Iterator[str]:
    """The chosen sections; the plots are drawn when it is the whole."""
    settings = shipped()
    tallies: list[Tally] = []
    found: list[Delays] = []
    if "clean" in wanted:
        jobs = [
            partial(tally, what, regime, settings, how.days, (seed, 1, number))
            for number, (what, regime) in enumerate(regimes())
        ]
        tallies = _together(pool, "clean days", jobs)
        yield from (*clean_tables(tallies), "")
    if "delay" in wanted:
        slow = [partial(delays, one, settings, how.faults, (seed, 2, number)) for number, one in enumerate(faults())]
        found = _together(pool, "delays", slow)
        yield from (*delay_tables(found), "")
    if "incidents" in wanted:
        many = [
            partial(_incidents, settings, kind, how.incidents, (seed, 3, number)) for number, kind in enumerate(kinds())
        ]
        outcomes = [one for group in _together(pool, "incidents", many) for one in group]
        yield from (*incident_tables(outcomes), "")
    if "cost" in wanted:
        # One after the other and alone, since time is what is measured.
        ticks = {size: max(5, how.ticks * 1_000 // max(1_000, size)) for size in how.sizes}
        costs: list[Cost] = [pool.submit(cost, settings, size, ticks[size]).result() for size in how.sizes]
        yield from (*cost_tables(costs), "")
    if whole:
        written = plots.write(PLOTS, tallies, found)
        yield from (f"![{path.stem}](../benchmarks/detection/plots/{path.name})" for path in written)


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_page(text: str, command: str) -> None:
    """Puts the tables between their marks and leaves what people wrote around them."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{BEGIN}\nMade by `{command}`; do not edit between the marks.\n\n{text}\n{END}"
    PAGE.write_text(before + made + after, encoding="utf-8")


def main() -> None:
    """Simulates, prints, and writes the page when everything was simulated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--days", type=int, default=370, help="clean days of each regime")
    parser.add_argument("--incidents", type=int, default=200, help="of each kind, and faults of each size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="a smoke test; no page is written")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="only this section; no page is written")
    arguments = parser.parse_args()
    how = scale(arguments.days, arguments.incidents, quick=arguments.quick)
    whole = not arguments.quick and not arguments.only
    lines: list[str] = []
    with ProcessPoolExecutor(max_workers=arguments.jobs) as pool:
        for line in run(pool, arguments.only or SECTIONS, how, arguments.seed, whole=whole):
            say(line)
            lines.append(line)
    if whole:
        amount = f"--days {arguments.days} --incidents {arguments.incidents} --seed {arguments.seed}"
        command = f"python -m benchmarks.detection {amount}"
        write_page("\n".join(lines), command)


if __name__ == "__main__":
    main()
