import json
import math
import typing
from dataclasses import fields, is_dataclass

import pytest

from tests.web.conftest import START, START_ISO, settings
from watchdog.model import events as ev
from watchdog.model.guards import Baseline, BaselineEntry, Guard
from watchdog.model.playbooks import Playbook
from watchdog.model.releases import Certificate, Compatibility, Surroundings
from watchdog.model.signals import SignalId
from watchdog.model.time import MILLISECOND, SECOND
from watchdog.model.verdicts import Basis, Evidence
from watchdog.web.bodies import CertificateBody
from watchdog.web.event_views import SPANS, TIMES, event_view, plain
from watchdog.web.moments import iso, seconds
from watchdog.web.views import certificate_view, guard_view

PLAIN_NUMBERS = {"epoch", "position", "readings", "samples"}


def whole_numbers(kind: object) -> set[str]:
    """Names of all whole numbers in a type and in the types of its fields."""
    if isinstance(kind, type) and is_dataclass(kind) and kind is not Playbook:
        found = set()
        for name, hint in typing.get_type_hints(kind).items():
            found |= {name} if int in (hint, *typing.get_args(hint)) else whole_numbers(hint)
        return found
    return set().union(*(whole_numbers(one) for one in typing.get_args(kind)))


def test_every_whole_number_of_an_event_is_known_as_a_time_a_length_or_a_number() -> None:
    assert whole_numbers(ev.Event) == TIMES | SPANS | PLAIN_NUMBERS


@pytest.mark.parametrize("kind", typing.get_args(ev.Event), ids=lambda kind: kind.__name__)
def test_every_kind_of_event_has_a_field_for_each_of_its_own(kind: type) -> None:
    names = {each.name for each in fields(kind)}
    assert not names & {f"{span}_seconds" for span in SPANS}


def test_times_are_utc_with_milliseconds_and_never_rounded_up() -> None:
    assert iso(START) == START_ISO
    assert iso(START + 749 * MILLISECOND + 999_999) == "2025-01-08T09:30:00.999Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(None) is None
    assert seconds(1_234_567_890) == 1.235
    assert seconds(None) is None


def test_what_json_cannot_say_is_a_word() -> None:
    entry = BaselineEntry("distribution", bounds=(0.1, math.inf), mean=math.nan)
    baseline = Baseline(START - SECOND, START, {SignalId("latency", (("path", "/a"),)): entry})
    said = plain(ev.BaselineFrozen(baseline))
    json.dumps(said, allow_nan=False)
    assert said["baseline"]["until"] == START_ISO
    assert said["baseline"]["entries"]['latency{path="/a"}']["bounds"] == [0.1, "inf"]


def test_a_playbook_in_an_event_is_named_and_not_repeated() -> None:
    playbook = settings().playbook
    stored = ev.Stored("shop", 7, START, 1, 1, ev.RunStarted("shop-1-run", playbook, playbook.hash))
    view = event_view(Guard(settings()), stored)
    assert view["body"] == {
        "run": "shop-1-run",
        "playbook": {"name": "emergency", "hash": "hash"},
        "playbook_hash": "hash",
    }


def test_an_opening_says_why() -> None:
    evidence = Evidence("error_rate", START, "100 of 100 requests failed", Basis.CONFIDENT, (("share", 1.0),))
    opened = ev.IncidentOpened(
        "shop-1", START, ("error_rate",), (evidence,), Basis.CONFIDENT, settings().playbook.rungs[0].kind
    )
    view = event_view(Guard(settings()), ev.Stored("shop", 1, START, 1, 1, opened))
    assert view["sentence"] == "Incident shop-1 is open: 100 of 100 requests failed"
    assert view["body"]["opened_at"] == START_ISO


def test_a_certificate_that_is_written_is_read_back_alike() -> None:
    certificate = Certificate(
        id="c1",
        issued_at=START,
        surroundings=Surroundings("18", ("vector 0.8.1",), "C", "ab"),
        rollback_hash="hash",
        restored=True,
        old_code=Compatibility.INCOMPATIBLE,
        measured=2500 * MILLISECOND,
        findings=("5 tables compared",),
    )
    text = json.dumps(certificate_view(certificate))
    assert CertificateBody.model_validate_json(text).to_model() == certificate


def test_a_guard_that_knows_nothing_can_be_shown() -> None:
    view = guard_view(Guard(settings()), {}, START)
    json.dumps(view, allow_nan=False)
    assert (view["state"], view["release"], view["incident"], view["frozen"]) == ("no release", None, None, None)
