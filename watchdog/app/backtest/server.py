"""History from a Prometheus server: the signals of rules files, asked for over a range."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import Recorded
from watchdog.app.backtest.rule_set import RuleSet
from watchdog.config.rules_file import DeclaredProbe
from watchdog.model.signals import Sample
from watchdog.model.time import Span, Time
from watchdog.ports.secrets import Secret
from watchdog.probes.metrics import MetricRead
from watchdog.probes.prometheus import PrometheusOptions, PrometheusProbe, PromQuery
from watchdog.targets.http import HttpOptions, HttpTarget

ALL: Final = PrometheusOptions()
"""How a server is asked for what a `metrics` probe reads."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What is asked for.

    Attributes:
        url: The server's address.
        headers: Sent with every request; a login.
    """

    url: str
    start: Time
    end: Time
    step: Span
    headers: Mapping[str, Secret]


async def read_server(rules: RuleSet, wanted: Range) -> Recorded:
    """What a server knows of the signals that these rules read.

    Signals of `prometheus` probes are asked for in their own PromQL; those of `metrics` probes by the metric's name, as
    a server names what it has scraped. Signals of other probes are in no Prometheus.

    Raises:
        InputError: There is nothing to ask for, or the range is wrong.
        ProbeError: The server does not answer, or its answer makes no sense.
    """
    target = HttpTarget("prometheus", HttpOptions(url=wanted.url, headers=wanted.headers))
    samples: list[Sample] = []
    asked = False
    try:
        for probe, names in _probes(rules, target):
            for name in names:
                asked = True
                samples += await probe.history(name, wanted.start, wanted.end, wanted.step)
    except ValueError as error:
        raise InputError(f"--from, --to, --step: {error}") from error
    finally:
        await target.close()
    if not asked:
        raise InputError("no signal of these rules is read by a probe `prometheus` or `metrics`; use --csv")
    if not samples:
        raise InputError(f"{target.place} knows nothing of these signals from --from to --to; look at both times")
    times = range(wanted.start, wanted.end + 1, wanted.step)
    return Recorded.of(target.place, samples, times)


def _probes(rules: RuleSet, target: HttpTarget) -> Iterator[tuple[PrometheusProbe, Sequence[str]]]:
    for declared in rules.probes:
        reads = {name: read for name, read in _reads(declared) if name in rules.read}
        if reads:
            options = declared.options if isinstance(declared.options, PrometheusOptions) else ALL
            yield PrometheusProbe(target, options, reads), tuple(reads)


def _reads(declared: DeclaredProbe) -> Iterator[tuple[str, PromQuery]]:
    for signal in declared.signals:
        options: Any = signal.options
        if isinstance(options, PromQuery):
            yield signal.name, options
        elif isinstance(options, MetricRead):
            yield signal.name, in_promql(options)


def in_promql(read: MetricRead) -> PromQuery:
    """What a `metrics` probe reads at the service, as a server that has scraped it is asked."""
    counted = read.kind != "gauge"
    bucket = "_bucket" if read.kind == "distribution" else ""
    chosen = [f"{label}=~{_quoted(pattern)}" for label, pattern in read.where.items()]
    chosen += [f"{label}!~{_quoted(pattern)}" for label, pattern in read.not_.items()]
    by = [*read.split, *(["instance"] if counted else []), *(["le"] if bucket else [])]
    together = f"sum by ({', '.join(by)})" if by else "sum"
    query = f"{together} ({read.metric}{bucket}{{{', '.join(chosen)}}})"
    return PromQuery(
        query=query, kind=read.kind, split=read.split, absent="zero" if read.absent == "zero" else "no_traffic"
    )


def _quoted(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
