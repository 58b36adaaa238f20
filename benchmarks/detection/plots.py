"""Plots as SVG, drawn by hand: small, without a library, readable in a browser and in a diff."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, log10
from pathlib import Path
from typing import Final

from benchmarks.detection.bounds import percentile
from benchmarks.detection.clean import OF_ERRORS, RANKS, THREE, Tally
from benchmarks.detection.delay import SHARES, Delays
from watchdog.model.rules import Mode

WIDTH: Final = 640
HEIGHT: Final = 320
LEFT: Final = 60
BOTTOM: Final = 270
TOP: Final = 40
COLOURS: Final = ("#c44e52", "#4c72b0", "#55a868", "#8172b3", "#937860")


def write(directory: Path, tallies: Sequence[Tally], found: Sequence[Delays]) -> list[Path]:
    """Draws both; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    plots = {
        "false-alarms.svg": _svg("Clean days with a firing, error rate (%)", _bars(tallies)),
        "delay.svg": _svg("Median seconds to see errors, 20 requests a second, burstiness 0.02", _lines(found)),
    }
    for name, text in plots.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in plots]


def _svg(title: str, parts: Iterator[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, ground, _text(LEFT, 22, title, size=14), *parts, "</svg>", ""])


def _text(x: float, y: float, said: str, *, size: int = 11, anchor: str = "start", fill: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{said}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#ccc") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _bars(tallies: Sequence[Tally]) -> Iterator[str]:
    names = [Mode.LITERAL, Mode.CONFIDENT, Mode.EITHER, THREE, RANKS]
    groups: dict[str, list[Tally]] = {}
    for one in tallies:
        if one.what == OF_ERRORS:
            groups.setdefault(f"{one.regime.errors:.0%} {one.regime.shape}", []).append(one)
    for percent in (0, 25, 50, 75, 100):
        y = BOTTOM - (BOTTOM - TOP) * percent / 100
        yield _line(LEFT, y, WIDTH - 20, y)
        yield _text(LEFT - 8, y + 4, str(percent), anchor="end")
    wide = (WIDTH - 20 - LEFT) / max(1, len(groups))
    for place, (said, group) in enumerate(groups.items()):
        for index, name in enumerate(names):
            days = sum(one.ranked if name == RANKS else one.days for one in group)
            share = sum(one.fired[name] for one in group) / max(1, days)
            tall = (BOTTOM - TOP) * share
            x = LEFT + place * wide + 6 + index * (wide - 12) / len(names)
            bar = f'<rect x="{x:.1f}" y="{BOTTOM - tall:.1f}" width="{(wide - 14) / len(names):.1f}"'
            yield f'{bar} height="{tall:.1f}" fill="{COLOURS[index]}"/>'
        yield _text(LEFT + (place + 0.5) * wide, BOTTOM + 14, said, size=8, anchor="middle")
    yield from _legend(names)


def _legend(names: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(names):
        yield _text(LEFT + index * 110, HEIGHT - 14, f"■ {name}", fill=COLOURS[index])


def _lines(found: Sequence[Delays]) -> Iterator[str]:
    medians: dict[Mode, dict[float, float]] = {mode: {} for mode in Mode}
    for mode, size in ((mode, size) for mode in Mode for size in SHARES):
        medians[mode][size] = percentile(
            [
                value
                for one in found
                if (one.fault.what, one.fault.size, one.fault.rate, one.fault.burstiness)
                == (OF_ERRORS, size, 20.0, 0.02)
                for value in one.seconds[mode]
            ],
            0.5,
        )
    for seconds in (10, 30, 60, 120, 300, 600):
        yield _line(LEFT, _height(seconds), WIDTH - 20, _height(seconds))
        yield _text(LEFT - 8, _height(seconds) + 4, str(seconds), anchor="end")
    for place, size in enumerate(SHARES):
        yield _text(_across(place), BOTTOM + 14, f"{size:.0%} errors", anchor="middle")
    for index, mode in enumerate(medians):
        yield from _series(medians[mode], COLOURS[index])
    yield from _legend(list(medians))


def _across(place: int) -> float:
    return LEFT + 40 + place * (WIDTH - LEFT - 100) / (len(SHARES) - 1)


def _height(seconds: float) -> float:
    return BOTTOM - (log10(seconds) - 1.0) * (BOTTOM - TOP) / 2.0


def _series(values: Mapping[float, float], colour: str) -> Iterator[str]:
    points = [(_across(place), values[size]) for place, size in enumerate(SHARES) if values[size] < inf]
    drawn = " ".join(f"{x:.1f},{_height(seconds):.1f}" for x, seconds in points)
    yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{_height(seconds):.1f}" r="3" fill="{colour}"/>' for x, seconds in points)
