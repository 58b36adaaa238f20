"""Reads the Prometheus text formats without I/O.

Only the lines of the metrics that are asked for go through the parser, each metric by itself: the parser costs up to
0.1 ms a line, and one metric that makes no sense must not hide the others.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from watchdog.model.signals import Histogram

MAX_LINE = 16_384
"""Characters; the parser's time grows with the square of a line."""

_NAME = re.compile(r"(?:# *(?:TYPE|HELP|UNIT) +)?([a-zA-Z_:][a-zA-Z0-9_:]*)")
_SUFFIXES = ("_total", "_bucket", "_sum", "_count")
_OPENMETRICS_END = "# EOF"


class ExpositionError(ValueError):
    """The text, or one metric in it, makes no sense; says which and why, without values of labels."""


@dataclass(frozen=True)
class Exposition:
    """The lines of each wanted metric, unparsed.

    Attributes:
        openmetrics: Which of the two formats it is.
        lines: By the metric's name without suffixes.
    """

    openmetrics: bool
    lines: Mapping[str, list[str]]

    def families(self, metric: str) -> list[Metric]:
        """The parsed families that hold the samples of a metric; empty when the text has none.

        Raises:
            ExpositionError: A line of this metric cannot be parsed.
        """
        lines = self.lines.get(base_name(metric), [])
        if not lines:
            return []
        ending = [_OPENMETRICS_END] if self.openmetrics else []
        text = "\n".join([*lines, *ending]) + "\n"
        try:
            # The OpenMetrics parser has no types.
            return list(parse_openmetrics(text) if self.openmetrics else parse_text(text))  # type: ignore[no-untyped-call]
        except (ValueError, LookupError, TypeError) as error:
            # Not the parser's own words: they quote the line, label values and all.
            raise ExpositionError(f"the lines of {metric} cannot be parsed") from error


def base_name(metric: str) -> str:
    """A metric's name without the suffix that its samples carry."""
    for suffix in _SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric


def read_exposition(text: str, metrics: Iterable[str], *, openmetrics: bool, max_series: int) -> Exposition:
    """Picks the lines of `metrics` out of a whole page.

    Raises:
        ExpositionError: The page was cut off, or has too many or too long lines.
    """
    lines = text.split("\n")
    if lines.pop():
        raise ExpositionError("the text does not end with a line end, so it was cut off")
    if openmetrics and _OPENMETRICS_END not in lines[-1:]:
        raise ExpositionError(f"the text does not end with {_OPENMETRICS_END!r}, so it was cut off")
    series = sum(1 for line in lines if line and not line.startswith("#"))
    if series > max_series:
        raise ExpositionError(f"it has {series} series, more than max_series ({max_series})")
    wanted: dict[str, list[str]] = {base_name(metric): [] for metric in metrics}
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise ExpositionError(f"line {number} has {len(line)} characters, more than {MAX_LINE}")
        if (name := _NAME.match(line)) and (found := wanted.get(base_name(name[1]))) is not None:
            found.append(line)
    return Exposition(openmetrics, wanted)


def series_of(families: Iterable[Metric], name: str) -> list[Sample]:
    """The samples of exactly this name.

    Raises:
        ExpositionError: Two samples have the same labels.
    """
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    if len({frozenset(sample.labels.items()) for sample in samples}) < len(samples):
        raise ExpositionError(f"{name} has two series with the same labels")
    return samples


def total(name: str, samples: Iterable[Sample]) -> float:
    """The sum of counters.

    Raises:
        ExpositionError: A counter is negative or no number.
    """
    values = [float(sample.value) for sample in samples]
    if any(not math.isfinite(value) or value < 0 for value in values):
        raise ExpositionError(f"counter {name} has a value that is negative or no number")
    return _sum(f"counter {name}", values)


def level(name: str, samples: Iterable[Sample]) -> float:
    """The sum of gauges.

    Raises:
        ExpositionError: A gauge is no finite number.
    """
    values = [float(sample.value) for sample in samples]
    if not all(map(math.isfinite, values)):
        raise ExpositionError(f"gauge {name} has a value that is no finite number")
    return _sum(f"gauge {name}", values)


def distribution(name: str, buckets: Iterable[Sample], sums: Iterable[Sample]) -> Histogram:
    """The sum of histograms.

    Args:
        name: The histogram's name, for errors.
        buckets: Its `_bucket` samples, of one or of several series with the same bounds.
        sums: Its `_sum` samples.

    Raises:
        ExpositionError: A series lacks +Inf, falls with rising bounds, or has other bounds than the rest.
    """
    by_series: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    for sample in buckets:
        rest = frozenset(pair for pair in sample.labels.items() if pair[0] != "le")
        by_series.setdefault(rest, {})[_bound(name, sample)] = float(sample.value)
    series = [dict(sorted(counts.items())) for counts in by_series.values()]
    for counts in series:
        _check_buckets(name, counts)
    bounds = tuple(series[0])
    if any(tuple(counts) != bounds for counts in series):
        raise ExpositionError(f"the series of histogram {name} have different buckets; split them or choose with where")
    sum_of = _sum(f"the sum of histogram {name}", [float(sample.value) for sample in sums])
    added = (_sum(f"histogram {name}", [counts[bound] for counts in series]) for bound in bounds)
    return Histogram(bounds, tuple(added), sum_of)


def _sum(what: str, values: list[float]) -> float:
    try:
        added = math.fsum(values)
    except (OverflowError, ValueError):
        added = math.nan
    if not math.isfinite(added):
        raise ExpositionError(f"{what} has values whose sum is no finite number")
    return added


def _bound(name: str, sample: Sample) -> float:
    try:
        bound = float(sample.labels["le"])
    except (KeyError, ValueError) as error:
        raise ExpositionError(f"histogram {name} has a bucket without a numeric le") from error
    if math.isnan(bound):
        raise ExpositionError(f"histogram {name} has a bucket without a numeric le")
    return bound


def _check_buckets(name: str, counts: Mapping[float, float]) -> None:
    values: Collection[float] = counts.values()
    if math.inf not in counts:
        raise ExpositionError(f"histogram {name} has no bucket le=+Inf")
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ExpositionError(f"histogram {name} has a bucket that is negative or no number")
    if sorted(values) != list(values):
        raise ExpositionError(f"histogram {name} falls with rising bounds; its buckets must be cumulative")
