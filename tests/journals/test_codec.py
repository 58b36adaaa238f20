import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchdog.journals.codec import (
    FORMAT,
    decode,
    decode_labels,
    decode_value,
    encode,
    encode_labels,
    encode_value,
)
from watchdog.model.events import BaselineFrozen, Event, IncidentOpened, RungFinished, StepIntended
from watchdog.model.guards import Baseline, BaselineEntry
from watchdog.model.rules import RungKind
from watchdog.model.signals import Cause, Histogram, Labels, Missing, SignalId
from watchdog.model.verdicts import Basis, Evidence
from watchdog.ports.errors import JournalError, JournalVersionError

KINDS = cast(tuple[type[Event], ...], get_args(Event))
PLACE = 'event 7 of stream "api" in journal.db'
INF = float("inf")


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type in the model, to its leaves."""
    arguments = get_args(kind)
    if kind is str:
        return st.text(st.characters(), max_size=8)  # Half surrogates out of broken log lines included.
    if kind is float:
        return st.floats(allow_nan=False)  # nan differs from itself.
    if isinstance(kind, type) and is_dataclass(kind):
        return st.builds(kind, **{name: anything(hint) for name, hint in get_type_hints(kind).items()})
    if isinstance(kind, UnionType):
        return st.one_of(*map(anything, arguments))
    if get_origin(kind) is Mapping:
        return st.dictionaries(*map(anything, arguments), max_size=3)
    if get_origin(kind) is tuple and arguments[-1] is ...:
        return st.lists(anything(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*map(anything, arguments))
    return st.from_type(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
def test_every_event_comes_back_as_it_was(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(anything(kind))

    back = decode(encode(event), FORMAT, place=PLACE)

    assert back == event
    assert repr(back) == repr(event)  # An enumeration's member equals its text; only this tells them apart.


def test_no_event_has_a_field_that_hides_its_tag() -> None:
    assert [kind for kind in KINDS if "event" in kind.__dataclass_fields__] == []


def test_an_event_is_readable_text_tagged_with_its_name() -> None:
    text = encode(StepIntended("i1/data/restore", 3))

    assert json.loads(text) == {"event": "StepIntended", "step": "i1/data/restore", "epoch": 3}


def test_infinite_bounds_are_valid_json() -> None:
    entry = BaselineEntry("distribution", bounds=(0.1, INF), counts=(3.0, 4.0), samples=2)
    frozen = BaselineFrozen(Baseline(1, 2, {SignalId("latency", (("path", '/a"}{'),)): entry}))

    text = encode(frozen)

    assert '"bounds":[0.1,"inf"]' in text
    json.loads(text, parse_constant=pytest.fail)
    assert decode(text, FORMAT, place=PLACE) == frozen


def test_enumerations_come_back_as_members() -> None:
    evidence = Evidence("errors", 5, "half of all requests fail", Basis.CONFIDENT, (("bad", 3.0), ("ratio", INF)))
    opened = IncidentOpened("i1", 5, ("errors",), (evidence,), Basis.CONFIDENT, RungKind.DATA)

    back = decode(encode(opened), FORMAT, place=PLACE)

    assert isinstance(back, IncidentOpened)
    assert isinstance(back.enters, RungKind)
    assert isinstance(back.evidence[0].basis, Basis)


@pytest.mark.parametrize("version", [0, FORMAT + 1])
def test_another_format_is_refused_with_its_place_and_the_way_out(version: int) -> None:
    with pytest.raises(JournalVersionError) as refused:
        decode(encode(StepIntended("s", 1)), version, place=PLACE)

    assert str(refused.value).startswith(f"{PLACE} has format {version}")
    assert "run the version of watchdog that wrote it" in str(refused.value)


def test_an_event_of_the_future_is_a_matter_of_version() -> None:
    with pytest.raises(JournalVersionError, match=r"event 7 of .* is a StepBlessed"):
        decode('{"event": "StepBlessed", "step": "s"}', FORMAT, place=PLACE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"step": "s", "epoch": 1}',
        '{"event": 3}',
        '{"event": "StepIntended", "step": "s"}',
        '{"event": "StepIntended", "step": "s", "epoch": "1"}',
        '{"event": "StepIntended", "step": "s", "epoch": 1.5}',
        '{"event": "StepIntended", "step": "s", "epoch": true}',
        '{"event": "StepIntended", "step": null, "epoch": 1}',
        '{"event": "StepIntended", "step": "s", "epoch": 1, "more": 2}',
        '{"event": "RungFinished", "rung": "roof", "since": 1}',
        '{"event": "BaselineFrozen", "baseline": {"since": 1, "until": 2, "entries": [[1]]}}',
        '{"event": "BaselineFrozen", "baseline": {"since": 1, "until": 2, "entries": 3}}',
        '{"event": "PendingBegan", "rule": "r", "since": 1, "evidence": []}',
        '{"event": "PendingBegan", "rule": "r", "since": 1, "evidence": 4}',
    ],
)
def test_damage_is_named_with_its_place_and_never_guessed_at(text: str) -> None:
    with pytest.raises(JournalError) as damaged:
        decode(text, FORMAT, place=PLACE)

    assert type(damaged.value) is JournalError
    assert str(damaged.value).startswith(PLACE)


def test_an_error_shows_no_value() -> None:
    text = encode(RungFinished(RungKind.FLAG, 1)).replace('"flag"', '"hunter2"')

    with pytest.raises(JournalError) as damaged:
        decode(text, FORMAT, place=PLACE)

    assert "$.rung" in str(damaged.value)
    assert "hunter2" not in str(damaged.value)


@given(value=st.just(float("nan")) | anything(float | Histogram | Missing))
def test_every_sample_value_comes_back_as_it_was(value: float | Histogram | Missing) -> None:
    assert repr(decode_value(encode_value(value), place=PLACE)) == repr(value)


def test_a_sample_without_a_value_keeps_its_cause() -> None:
    missing = Missing(Cause.UNREACHABLE, "connection refused")

    back = decode_value(encode_value(missing), place=PLACE)

    assert isinstance(back, Missing)
    assert back.cause is Cause.UNREACHABLE


@pytest.mark.parametrize("stored", ["", "{}", "[]", '"x"', '{"cause": "bad luck", "detail": ""}', '{"bounds": [1]}'])
def test_a_damaged_sample_is_named_with_its_place(stored: str) -> None:
    with pytest.raises(JournalError, match="event 7"):
        decode_value(stored, place=PLACE)


@given(labels=anything(Labels))
def test_labels_come_back_as_they_were(labels: Labels) -> None:
    assert decode_labels(encode_labels(labels), place=PLACE) == labels
