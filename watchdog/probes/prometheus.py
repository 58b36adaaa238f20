"""Asks a Prometheus server (or Thanos, Mimir, VictoriaMetrics: whatever speaks its API) in PromQL."""

import asyncio
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import urlencode

import httpx
from prometheus_client.samples import Sample as Exposed

from watchdog.model.signals import Cause, Labels, Missing, Sample, SignalId, SignalKind
from watchdog.model.time import MILLISECOND, SECOND, Span, Time, in_seconds
from watchdog.ports.errors import ProbeError
from watchdog.ports.kinds import Duration, ProbeKind, Resources
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.exposition import ExpositionError, distribution, total
from watchdog.probes.prometheus_answers import AnswerError, Series, instants, read_answer
from watchdog.probes.readings import single
from watchdog.probes.requests import get
from watchdog.targets.http import HttpTarget

MAX_SPLIT: Final = 1_000
"""More series of one signal than this are a mistake, such as a split by user."""

POINTS: Final = 1_000
"""Points of a series asked for at a time; the server refuses more than 11,000, and an answer must fit max_bytes."""

MAX_POINTS: Final = 200_000
"""A longer history is refused: it is held in memory."""

MAX_QUERY: Final = 4_000
"""Characters; it travels in the address, and servers in between cut at 8,000 bytes."""

_ACCEPT = {"Accept": "application/json"}
_JSON = "application/json"
_REFUSALS = frozenset({400, 422, 503})
"""Statuses with which Prometheus itself says in JSON what is wrong."""
_NOT_NOW = frozenset({429, 502, 503, 504})
_NO_LOGIN = frozenset({401, 403})
_COUNTED = frozenset({"counter", "distribution"})
_OF_A_RISE = re.compile(r"\b(i?rate|increase|i?delta|deriv)\s*\(")
_QUERY_TIMEOUT = Duration(3 * SECOND)


@dataclass(frozen=True, kw_only=True)
class PrometheusOptions:
    """How the server is asked. Logins are `headers` of the target, such as `Authorization: Bearer ${env:TOKEN}`.

    Attributes:
        path: Of the API, beneath the target's address.
        query_timeout: How long the server may work on one query.
        max_bytes: A longer answer is refused.
        max_series: An answer of more series is refused.
    """

    path: str = "/api/v1"
    query_timeout: Duration = _QUERY_TIMEOUT
    max_bytes: int = 8 * 1024 * 1024
    max_series: int = 10_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_series < 1:
            raise ValueError("max_bytes and max_series must be at least 1")
        if self.query_timeout < MILLISECOND:
            raise ValueError("query_timeout must be at least 1ms")


@dataclass(frozen=True, kw_only=True)
class PromQuery:
    """A signal in PromQL.

    Attributes:
        query: For a counter or a distribution the raw counters, without `rate`: rises and resets are ours to see.
        kind: How its values are read; a distribution needs the label `le`, a check answers the number of violations.
        split: One series for each combination of the values of these labels. A gauge and a check must be one series
            then; counters and buckets are summed.
        instances: Labels that tell apart the processes which count. A process that starts anew begins at 0, so each
            is a series of its own: a sum over several would fall, and be taken for a reset of all. Empty for a
            counter that one process keeps.
        absent: What an empty answer means, and a gauge that is NaN: an error, 0 (not for NaN), or no traffic.
    """

    query: str
    kind: Literal["gauge", "counter", "distribution", "check"] = "gauge"
    split: tuple[str, ...] = ()
    instances: tuple[str, ...] = ("instance",)
    absent: Literal["broken", "zero", "no_traffic"] = "broken"

    def __post_init__(self) -> None:
        if not 1 <= len(self.query.strip()) <= MAX_QUERY:
            raise ValueError(f"query must be one PromQL expression of at most {MAX_QUERY} characters")
        if self.kind == "distribution" and self.absent == "zero":
            raise ValueError("absent: zero has no meaning for a distribution, whose buckets are not known")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell its series apart, in order."""
        own = self.instances if self.kind in _COUNTED else ()
        return tuple(sorted({*self.split, *own}))


class PrometheusProbe:
    """Asks each query once a reading, and can ask for the past."""

    def __init__(self, target: HttpTarget, options: PrometheusOptions, reads: Mapping[str, PromQuery]) -> None:
        self._target = target
        self._options = options
        self._reads = reads

    async def read(self) -> Readings:
        """Every signal now; one that fails does not hide the others.

        Raises:
            ProbeError: No query has an answer; says why the first has none.
        """
        queries = tuple(dict.fromkeys(read.query for read in self._reads.values()))
        found = dict(zip(queries, await asyncio.gather(*map(self._now, queries)), strict=True))
        failures = [answer for answer in found.values() if isinstance(answer, Missing)]
        if failures and len(failures) == len(found):
            raise ProbeError(failures[0].cause, failures[0].detail)
        return {name: self._readings(name, read, found[read.query]) for name, read in self._reads.items()}

    async def history(self, signal: str, start: Time, end: Time, step: Span) -> tuple[Sample, ...]:
        """A signal's samples from `start` to `end`, one every `step`, in the order of time: what `observe_all` takes.

        An instant at which the server knows nothing has no sample; one whose values make no sense has a `Missing`.

        Raises:
            KeyError: The probe has no such signal.
            ValueError: The stretch is empty, the step under 1 ms, or it is more than `MAX_POINTS` points.
            ProbeError: The server does not answer, or its answer makes no sense.
        """
        read = self._reads[signal]
        if step < MILLISECOND or end < start:
            raise ValueError("start must not be after end, and step must be at least 1ms")
        if (end - start) // step >= MAX_POINTS:
            raise ValueError(f"this is more than {MAX_POINTS} points; take a longer step or a shorter stretch")
        samples: list[Sample] = []
        for since in range(start, end + 1, POINTS * step):
            until = min(end, since + (POINTS - 1) * step)
            times = {"start": _instant(since), "end": _instant(until), "step": f"{in_seconds(step):.3f}"}
            series = await self._ask("query_range", read.query, times)
            samples += await asyncio.to_thread(self._samples, signal, read, series)
        return tuple(samples)

    def _samples(self, signal: str, read: PromQuery, series: Sequence[Series]) -> list[Sample]:
        return [
            Sample(SignalId(signal, labels), at, value)
            for at, answer in instants(series)
            for labels, value in self._readings(signal, read, answer).items()
        ]

    async def _now(self, query: str) -> list[Series] | Missing:
        try:
            return await self._ask("query", query, {})
        except ProbeError as error:
            return Missing(error.cause, str(error))

    async def _ask(self, what: str, query: str, more: Mapping[str, str]) -> list[Series]:
        seconds = in_seconds(self._options.query_timeout)
        wanted = urlencode({"query": query, "timeout": f"{seconds:.3f}", **more})
        try:
            async with get(self._target, f"{self._options.path}/{what}?{wanted}", _ACCEPT) as response:
                self._check_head(response)
                body = await self._body(response)
            # In a thread, so that a large answer does not hold up the other probes.
            return await asyncio.to_thread(
                read_answer, body, is_range=what == "query_range", max_series=self._options.max_series
            )
        except AnswerError as error:
            raise ProbeError(error.cause, f"target {self._target.place}: query {_short(query)}: {error}") from error

    def _check_head(self, response: httpx.Response) -> None:
        """Refuses what cannot be an answer of the API."""
        status = response.status_code
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.is_redirect:
            raise AnswerError(f"answered with a redirect (status {status}), which is not followed; set the final url")
        if status in _NO_LOGIN:
            raise AnswerError(f"refuses us (status {status}); give the target headers: {{Authorization: …}}")
        if status in _NOT_NOW and content_type != _JSON:
            raise AnswerError(f"answered status {status}", Cause.UNREACHABLE)
        if status != 200 and not (status in _REFUSALS and content_type == _JSON):
            raise AnswerError(f"answered status {status}; check url and path ({self._options.path})", _cause(status))
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise AnswerError("answered compressed although it was asked not to; switch compression off there")
        if content_type != _JSON:
            raise AnswerError(f"answered {content_type or 'no content type'}, not {_JSON}; check url and path")

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._options.max_bytes:
                raise AnswerError(
                    f"the answer is longer than max_bytes ({self._options.max_bytes}); write sum by (…) around"
                )
        return bytes(body)

    def _readings(self, name: str, read: PromQuery, answer: Sequence[Series] | Missing) -> Mapping[Labels, Reading]:
        if isinstance(answer, Missing):
            return single(answer)
        try:
            return readings_of(name, read, answer)
        except (AnswerError, ExpositionError) as error:
            detail = f"target {self._target.place}: query {_short(read.query)}: {error}"
            return single(Missing(Cause.PROBE_BROKEN, detail))


def readings_of(name: str, read: PromQuery, answer: Sequence[Series]) -> Mapping[Labels, Reading]:
    """A signal's values out of the series of one instant; `name` is for errors.

    Raises:
        AnswerError: They are not such that they can be read.
        ExpositionError: Counters or buckets are none.
    """
    if not answer:
        return single(_absent(read))
    groups: dict[Labels, list[Exposed]] = {}
    for series in answer:
        exposed = Exposed(name, dict(series.labels), series.points[0][1])
        groups.setdefault(_group(read, series.labels), []).append(exposed)
    if len(groups) > MAX_SPLIT:
        raise AnswerError(
            f"it splits by {', '.join(read.labels)} into {len(groups)} series, more than {MAX_SPLIT}; split by fewer"
        )
    return {labels: _value(name, read, found) for labels, found in groups.items()}


def _group(read: PromQuery, labels: Mapping[str, str]) -> Labels:
    counted = read.kind in _COUNTED and read.instances
    if counted and not any(labels.get(label) for label in read.instances):
        wanted = ", ".join(read.instances)
        raise AnswerError(
            f"its series have no label {wanted}, so a process that starts anew cannot be told from a reset of all; "
            f"write sum by ({wanted}) (…), or instances: [] if one process counts"
        )
    return tuple((label, _text(labels.get(label, ""))) for label in read.labels)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise AnswerError("the value of a label is no text (a lone surrogate)") from error
    return value


def _value(name: str, read: PromQuery, found: Sequence[Exposed]) -> Reading:
    if read.kind in _COUNTED:
        try:
            return total(name, found) if read.kind == "counter" else distribution(name, found, ())
        except OverflowError as error:
            raise AnswerError("its sum is larger than a number can be") from error
    if len(found) > 1:
        raise AnswerError(
            f"it answers with {len(found)} series; write sum(…), max(…) or avg(…) around, "
            "or split by the labels that tell them apart"
        )
    value = float(found[0].value)
    if math.isnan(value) and read.absent == "no_traffic":
        return Missing(Cause.NO_TRAFFIC, f"{name} is NaN")
    if math.isnan(value):
        raise AnswerError("it is NaN, as a division by zero is; say absent: no_traffic if that means so")
    if math.isinf(value) or (read.kind == "check" and value < 0):
        raise AnswerError("it is infinite" if math.isinf(value) else "a number of violations is negative")
    return value


def _absent(read: PromQuery) -> Reading:
    if read.absent == "zero":
        return 0.0
    if read.absent == "no_traffic":
        return Missing(Cause.NO_TRAFFIC, "the query answers with no series")
    raise AnswerError(
        "it answers with no series; mend its names and labels, or say absent: zero if it appears only with the first "
        "event"
    )


def _cause(status: int) -> Cause:
    return Cause.UNREACHABLE if status in _NOT_NOW else Cause.PROBE_BROKEN


def _instant(at: Time) -> str:
    seconds, rest = divmod(at, SECOND)
    return f"{seconds}.{rest // MILLISECOND:03d}"


def _short(query: str) -> str:
    words = " ".join(query.split())
    return f"`{words}`" if len(words) <= 80 else f"`{words[:80]}…`"


def _complaints(read: PromQuery) -> Iterator[str]:
    if read.kind in _COUNTED and (found := _OF_A_RISE.search(read.query)):
        yield (
            f"query: {found[1]}() is a rise already, and a {read.kind} must be the counter itself; "
            f"write the expression without {found[1]}(…[…]), or kind: gauge"
        )


def _build(
    role: str, options: PrometheusOptions, reads: Mapping[str, PromQuery], resources: Resources
) -> PrometheusProbe:
    return PrometheusProbe(cast("HttpTarget", resources.target(role)), options, reads)


KIND: ProbeKind[PrometheusOptions, PromQuery] = ProbeKind(
    name="prometheus",
    options=PrometheusOptions,
    read=PromQuery,
    targets=("http",),
    signal_kind=lambda read: SignalKind(read.kind),
    build=_build,
    complaints=_complaints,
    labels=lambda read: read.labels,
)
