"""Scrapes a service's own metrics, in the Prometheus text format or as OpenMetrics."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, cast

import httpx
from prometheus_client import Metric
from prometheus_client.samples import Sample

from watchdog.model.signals import Cause, Labels, Missing, SignalKind
from watchdog.model.time import SECOND
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, ProbeKind, Resources
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.exposition import (
    Exposition,
    ExpositionError,
    distribution,
    level,
    read_exposition,
    series_of,
    total,
)
from watchdog.probes.metrics_endpoints import LABEL, Endpoints, Resolve, addresses_of
from watchdog.probes.readings import single
from watchdog.probes.requests import get
from watchdog.targets.http import HttpTarget

MAX_SPLIT = 200
"""More series of one signal than this are a mistake, such as a split by user."""

_ACCEPT = {"Accept": "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"}
_UNCOMPRESSED = {"Accept-Encoding": "identity"}
_OPENMETRICS = "application/openmetrics-text"
_TYPES = ("text/plain", _OPENMETRICS)
_TIMEOUT = Duration(5 * SECOND)
_PAGES = 16
"""Pages of the greatest length that all endpoints together may send in one reading."""


@dataclass(frozen=True, kw_only=True)
class MetricsOptions:
    """Where the metrics are.

    Attributes:
        path: Beneath the target's address.
        endpoints: `each` asks every address behind the target's name by itself, and their series have the label
            `endpoint`; `one` asks whichever answers.
        timeout: The probe's own; endpoints that have not answered shortly before have no value.
        max_bytes: A longer page is refused; all endpoints together may send sixteen times as much.
        max_series: A page with more series is refused.
    """

    path: str = "/metrics"
    endpoints: Literal["one", "each"] = "one"
    timeout: Duration = _TIMEOUT
    max_bytes: int = 4 * 1024 * 1024
    max_series: int = 100_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_series < 1:
            raise ValueError("max_bytes and max_series must be at least 1")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of every series, beside those of its signal."""
        return (LABEL,) if self.endpoints == "each" else ()


@dataclass(frozen=True, kw_only=True)
class MetricRead:
    """Which series make up a signal; those that match are summed.

    Attributes:
        metric: The metric's name; a distribution's without `_bucket`.
        kind: How its values are read.
        where: Labels and the regular expressions that their whole values must match; an absent label is empty.
        not_: Labels and the regular expressions that their whole values must not match.
        split: One series for each combination of the values of these labels.
        absent: What it means when no series matches: an error, or 0 as long as nothing has been counted.
    """

    metric: str
    kind: Literal["counter", "gauge", "distribution"] = "gauge"
    where: Mapping[str, str] = field(default_factory=dict)
    not_: Mapping[str, str] = field(default_factory=dict)
    split: tuple[str, ...] = ()
    absent: Literal["broken", "zero"] = "broken"

    def __post_init__(self) -> None:
        for label, pattern in [*self.where.items(), *self.not_.items()]:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{label}: {pattern!r} is no regular expression: {error}") from error
        if self.kind == "distribution" and self.absent == "zero":
            raise ValueError("absent: zero has no meaning for a distribution, whose buckets are not known")

    def chooses(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        return all(re.fullmatch(pattern, labels.get(label, "")) for label, pattern in self.where.items()) and not any(
            re.fullmatch(pattern, labels.get(label, "")) for label, pattern in self.not_.items()
        )

    def group(self, labels: Mapping[str, str]) -> Labels:
        """The labels of the series that this one is summed into."""
        return tuple((label, labels.get(label, "")) for label in sorted(self.split))


def read_page(text: str, reads: Mapping[str, MetricRead], options: MetricsOptions, *, openmetrics: bool) -> Readings:
    """Every signal out of one page.

    Raises:
        ExpositionError: The page as a whole makes no sense.
    """
    names = [read.metric for read in reads.values()]
    page = read_exposition(text, names, openmetrics=openmetrics, max_series=options.max_series)
    readings: dict[str, Mapping[Labels, Reading]] = {}
    for name, read in reads.items():
        try:
            readings[name] = _read_signal(page, read)
        except ExpositionError as error:
            readings[name] = single(Missing(Cause.PROBE_BROKEN, str(error)))
    return readings


def _read_signal(page: Exposition, read: MetricRead) -> Mapping[Labels, Reading]:
    families = page.families(read.metric)
    if read.kind == "distribution":
        return _distributions(families, read)
    sample_name = _sample_name(families, read)
    groups = _grouped(series_of(families, sample_name), read)
    if not groups:
        return _absent(families, read)
    summed = total if read.kind == "counter" else level
    return {labels: summed(read.metric, samples) for labels, samples in groups.items()}


def _distributions(families: list[Metric], read: MetricRead) -> Mapping[Labels, Reading]:
    buckets = _grouped(series_of(families, f"{read.metric}_bucket"), read)
    sums = _grouped(series_of(families, f"{read.metric}_sum"), read)
    if not buckets:
        return _absent(families, read)
    return {labels: distribution(read.metric, found, sums.get(labels, [])) for labels, found in buckets.items()}


def _sample_name(families: list[Metric], read: MetricRead) -> str:
    # The parser adds `_total` to a counter that is exposed without it.
    names = {read.metric, f"{read.metric}_total"} if read.kind == "counter" else {read.metric}
    for family in families:
        for sample in family.samples:
            if sample.name in names:
                other = {"counter": "gauge", "gauge": "counter"}[read.kind]
                if family.type == other:
                    raise ExpositionError(f"{read.metric} is a {other}, but the signal says kind: {read.kind}")
                return sample.name
    return read.metric


def _grouped(samples: list[Sample], read: MetricRead) -> dict[Labels, list[Sample]]:
    groups: dict[Labels, list[Sample]] = {}
    for sample in samples:
        if read.chooses(sample.labels):
            groups.setdefault(read.group(sample.labels), []).append(sample)
    if len(groups) > MAX_SPLIT:
        raise ExpositionError(
            f"{read.metric} splits by {', '.join(read.split)} into {len(groups)} series, more than {MAX_SPLIT}; "
            "split by fewer labels"
        )
    return groups


def _absent(families: list[Metric], read: MetricRead) -> Mapping[Labels, Reading]:
    if read.absent == "zero":
        return single(0.0)
    if any(family.samples for family in families):
        raise ExpositionError(
            f"no series of {read.metric} has the labels asked for; mend where and not, "
            "or say absent: zero if it appears only with the first event"
        )
    raise ExpositionError(
        f"there is no series named {read.metric}; mend the name, "
        "or say absent: zero if it appears only with the first event"
    )


@dataclass
class _Budget:
    """Bytes that one reading may still take."""

    left: int


class MetricsProbe:
    """Reads every signal from one scrape of the target, or of each endpoint behind its name."""

    def __init__(
        self,
        target: HttpTarget,
        options: MetricsOptions,
        reads: Mapping[str, MetricRead],
        resolve: Resolve = addresses_of,
    ) -> None:
        self._target = target
        self._options = options
        self._reads = reads
        self._endpoints = Endpoints(target, options.path, {**_UNCOMPRESSED, **_ACCEPT}, resolve)

    async def read(self) -> Readings:
        """One scrape.

        Raises:
            ProbeError: The target does not answer, or its answer is no page of metrics.
        """
        if self._options.endpoints == "each":
            # The rest is for what is still being parsed.
            return await self._endpoints.read(partial(self._page, self._budget()), self._options.timeout * 9 // 10)
        async with get(self._target, self._options.path, _ACCEPT) as response:
            return await self._page(self._budget(), response)

    def _budget(self) -> "_Budget":
        return _Budget(self._options.max_bytes * _PAGES)

    async def _page(self, budget: "_Budget", response: httpx.Response) -> Readings:
        openmetrics = self._check_head(response)
        body = await self._body(response, budget)
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise self._broken(f"byte {error.start} of the page is not UTF-8") from error
        try:
            # In a thread, so that a large page does not hold up the other probes.
            return await asyncio.to_thread(read_page, text, self._reads, self._options, openmetrics=openmetrics)
        except ExpositionError as error:
            raise self._broken(str(error)) from error

    def _check_head(self, response: httpx.Response) -> bool:
        """Refuses what cannot be a page of metrics; answers whether it is OpenMetrics."""
        status = response.status_code
        if status in {502, 503, 504}:
            raise ProbeError(
                Cause.UNREACHABLE, f"target {self._target.place}: {self._options.path} answered status {status}"
            )
        if response.is_redirect:
            raise self._broken(f"answered with a redirect (status {status}), which is not followed; set the final path")
        if status != 200:
            raise self._broken(f"answered status {status}; check path and the target's headers")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._broken("answered compressed although it was asked not to; switch compression off there")
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type not in _TYPES:
            raise self._broken(f"answered {content_type or 'no content type'}, not text/plain or {_OPENMETRICS}")
        return bool(content_type == _OPENMETRICS)

    async def _body(self, response: httpx.Response, budget: "_Budget") -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            budget.left -= len(chunk)
            if budget.left < 0:
                raise self._broken(f"all endpoints together send more than {_PAGES} times max_bytes")
            if len(body) > self._options.max_bytes:
                raise self._broken(f"the page is longer than max_bytes ({self._options.max_bytes})")
        return bytes(body)

    def _broken(self, what: str) -> ProbeError:
        return ProbeError(Cause.PROBE_BROKEN, f"target {self._target.place}: {self._options.path}: {what}")


def _build(role: str, options: MetricsOptions, reads: Mapping[str, MetricRead], resources: Resources) -> MetricsProbe:
    return MetricsProbe(cast("HttpTarget", resources.target(role)), options, reads)


KIND: ProbeKind[MetricsOptions, MetricRead] = ProbeKind(
    name="metrics",
    options=MetricsOptions,
    read=MetricRead,
    targets=("http",),
    signal_kind=lambda read: SignalKind(read.kind),
    build=_build,
    labels=lambda read: read.split,
)
