"""Why a rule says what it says: the sentence, the numbers to compute it again by, and one small chart."""

import math
from collections.abc import Iterator, Mapping, Sequence

from watchdog.cli.chart import GAP, marks, sparkline
from watchdog.cli.render import length
from watchdog.model.time import Time, in_seconds

WIDTH = 60


def number_lines(numbers: Mapping[str, float]) -> Iterator[str]:
    """The figures of a verdict, and how they make it."""
    if "recent_lower" in numbers:
        yield _share("in the long window", numbers, "")
        yield _share("in the recent one", numbers, "recent_")
        yield (
            f"confident: both lower bounds are above {_percent(numbers['threshold'])}; "
            "literal: the recent share is, for as long as `hold` says"
        )
        rest = [name for name in ("limit_seconds", "baseline_seconds") if name in numbers]
    elif "count" in numbers:
        yield (
            f"{numbers['count']:.0f} in {length(numbers['window_seconds'])}, surely more than {numbers['lower']:.1f}; "
            f"confident: that is above {numbers['threshold']:g}"
        )
        rest = []
    else:
        rest = list(numbers)
    if rest:
        yield ", ".join(f"{name} {numbers[name]:.6g}" for name in rest)


def _share(what: str, numbers: Mapping[str, float], prefix: str) -> str:
    name = prefix or ""
    over = f" in {length(numbers['window_seconds'])}" if not prefix and "window_seconds" in numbers else ""
    return (
        f"{what}: {numbers[name + 'bad']:.0f} of {numbers[name + 'total']:.0f}{over} = "
        f"{_percent(numbers[name + 'share'])}, surely more than {_percent(numbers[name + 'lower'])}"
    )


def _percent(share: float) -> str:
    return f"{share:.2%}"


def chart_lines(
    times: Sequence[Time], figures: Sequence[float], marked: Mapping[str, Time], threshold: float | None
) -> Iterator[str]:
    """A line of blocks over time, with signs below it.

    Args:
        marked: One character each, and the time that it stands for.
    """
    known = [value for value in figures if not math.isnan(value)]
    if len(known) < 2:
        return
    top = max([*known, threshold or 0.0])
    limit = f", threshold {threshold:.4g}" if threshold is not None else ""
    yield f"{sparkline(figures, WIDTH, top=top)}  {min(known):.4g} to {max(known):.4g}{limit}"
    positions = [(_nearest(times, at), sign) for sign, at in marked.items()]
    signs = marks(positions, len(times), WIDTH)
    if signs:
        yield signs
    span = in_seconds(times[-1] - times[0])
    missing = f"; {GAP} is no figure" if len(known) < len(figures) else ""
    yield f"{length(span)}, {length(span / min(WIDTH, len(times)))} a column{missing}"


def _nearest(times: Sequence[Time], at: Time) -> int:
    return min(range(len(times)), key=lambda index: abs(times[index] - at))
