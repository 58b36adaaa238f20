"""Reads the answers of Prometheus's HTTP API without I/O."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchdog.model.signals import Cause
from watchdog.model.time import MILLISECOND, Time

_LATEST: Final = 1e11
"""Seconds since 1970; a later instant is none."""
_LONGEST_QUOTE: Final = 200
_TRANSIENT: Final = frozenset({"timeout", "canceled", "unavailable"})


class AnswerError(ValueError):
    """An answer makes no sense; says why, without values of labels.

    Attributes:
        cause: `UNREACHABLE` where the server said that it cannot answer now.
    """

    def __init__(self, message: str, cause: Cause = Cause.PROBE_BROKEN) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Series:
    """One series of an answer; for an instant it has one point."""

    labels: Mapping[str, str]
    points: tuple[tuple[Time, float], ...]


def read_answer(body: bytes, *, is_range: bool, max_series: int) -> list[Series]:
    """The series of an answer to an instant query, or to a range query.

    Raises:
        AnswerError: The server refused the query, or the answer is of another kind.
    """
    answer = _decoded(body)
    match answer:
        case {"status": "error"}:
            raise _refusal(answer)
        case {"status": "success", "warnings": [_, *_]}:
            raise AnswerError(
                "the server warns that this answer is not whole or not meant so; ask it by hand for its warnings"
            )
        case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
            series = list(_series(kind, result, is_range=is_range, max_series=max_series))
        case _:
            raise AnswerError("the answer is JSON, but not that of Prometheus's API; check url and path")
    return series


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise AnswerError(f"byte {error.start} of the answer is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise AnswerError("the answer is no JSON, or was cut off") from error


def _refusal(answer: Mapping[str, Any]) -> AnswerError:
    kind, said = str(answer.get("errorType", "")), str(answer.get("error", ""))
    cause = Cause.UNREACHABLE if kind in _TRANSIENT else Cause.PROBE_BROKEN
    if kind != "bad_data":
        # Errors of execution quote labels of series.
        return AnswerError(f"the server could not answer ({_printable(kind) or 'an error'}); ask it by hand", cause)
    return AnswerError(f"the server refuses the query: {_printable(said)}", cause)


def _printable(text: str) -> str:
    return "".join(sign for sign in text[:_LONGEST_QUOTE] if sign.isprintable())


def _series(kind: str, result: Any, *, is_range: bool, max_series: int) -> Iterator[Series]:
    if kind == "scalar" and not is_range:
        yield Series({}, (_point(result),))
        return
    if kind == "matrix" and not is_range:
        raise AnswerError(
            "the query answers with a matrix, a stretch of time; leave the [5m] out, or put rate() around"
        )
    if kind != ("matrix" if is_range else "vector") or not isinstance(result, list):
        raise AnswerError(f"the query answers with {_printable(kind) or 'nothing known'}, not with numbers")
    if len(result) > max_series:
        raise AnswerError(
            f"the query answers with {len(result)} series, more than max_series ({max_series}); write sum by (…) around"
        )
    for one in result:
        match one:
            case {"metric": dict(labels), "values": list(points)} if is_range and _is_text(labels):
                yield Series(labels, tuple(map(_point, points)))
            case {"metric": dict(labels), "value": point} if not is_range and _is_text(labels):
                yield Series(labels, (_point(point),))
            case {"histogram": _} | {"histograms": _}:
                raise AnswerError(
                    "the query answers with a native histogram, which has no fixed buckets; "
                    "expose classic buckets beside it, or write histogram_quantile(…) as a gauge"
                )
            case _:
                raise AnswerError("a series in the answer has no labels or no values")


def _is_text(labels: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(value, str) for name, value in labels.items())


def _point(point: Any) -> tuple[Time, float]:
    match point:
        case [int() | float() as at, str(text)] if not isinstance(at, bool) and 0 <= at < _LATEST:
            try:
                return round(at * 1000) * MILLISECOND, float(text)
            except ValueError:
                pass
    raise AnswerError("a value in the answer is no pair of a time and a number")


def instants(series: Sequence[Series]) -> Iterator[tuple[Time, list[Series]]]:
    """A range as one answer an instant, in the order of time."""
    by_time: dict[Time, list[Series]] = {}
    for one in series:
        for at, value in one.points:
            by_time.setdefault(at, []).append(Series(one.labels, ((at, value),)))
    yield from sorted(by_time.items())
