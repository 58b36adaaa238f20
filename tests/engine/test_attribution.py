"""Who fails tells code, data and everything else apart."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.climb import SETTINGS, Climb, breach, judged, waits
from tests.engine.series import T0, at, read, signal, windows
from watchdog.engine.assess import assess
from watchdog.engine.attribution import LEAST_CALLS, attribute, slower
from watchdog.engine.baseline import freeze
from watchdog.engine.windows import Windows
from watchdog.engine.wording import tell
from watchdog.model import events as ev
from watchdog.model.attribution import Attribution, Comparison, Origin, Queries
from watchdog.model.guards import Baseline, Guard, Incident, ReleaseRecord, RunPhase
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.signals import Labels, Sample, Selector
from watchdog.model.time import MINUTE, Time
from watchdog.model.verdicts import Recovery

COMPARISON = Comparison(Selector("errors"), Selector("requests"))
RELEASE = Release("r1", ("one",), old_version="v1", new_version="v2")
SCHEMA = {"SQLSTATE 42703": "the service counted SQLSTATE 42703 40 times since T-0"}
DAMAGE = {"integrity orphans": "orphans reports 5 violations"}


def _of(**versions: tuple[float, float]) -> Windows:
    """Requests a tick, and how many of them fail, by version."""
    samples = []
    for version, (total, bad) in versions.items():
        labels = (("version", version),)
        samples.append(read("requests", [total * n for n in range(13)], labels=labels))
        samples.append(read("errors", [bad * n for n in range(13)], labels=labels))
    return windows([signal("requests"), signal("errors")], *samples)


def _cause(seen: Windows, proof: dict[str, str] | None = None) -> Origin:
    return attribute(seen, COMPARISON, RELEASE, proof or {}, T0, at(60)).origin


def test_only_the_new_version_fails_so_it_is_its_code() -> None:
    seen = _of(v1=(100, 0), v2=(100, 40))
    assert _cause(seen) is Origin.CODE
    assert _cause(seen, SCHEMA) is Origin.CODE
    why = attribute(seen, COMPARISON, RELEASE, {}, T0, at(60)).why
    assert why == "only the new version fails: v2 40.0% of 1200, v1 0.0% of 1200"


def test_both_fail_with_errors_of_the_schema_so_it_is_the_data() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40)), SCHEMA) is Origin.DATA


def test_both_fail_with_other_errors_so_it_is_elsewhere() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40))) is Origin.ELSEWHERE
    assert _cause(_of(v1=(100, 40), v2=(100, 0))) is Origin.ELSEWHERE
    assert _cause(_of(v1=(100, 40))) is Origin.ELSEWHERE


def test_damaged_data_is_the_data_whoever_fails() -> None:
    assert _cause(_of(v1=(100, 0), v2=(100, 40)), DAMAGE) is Origin.DATA


def test_where_only_the_new_version_runs_errors_of_the_schema_decide() -> None:
    assert _cause(_of(v2=(100, 40)), SCHEMA) is Origin.DATA
    assert _cause(_of(v2=(100, 40))) is Origin.UNKNOWN


@pytest.mark.parametrize(
    "seen",
    [_of(), _of(v1=(100, 0)), _of(v1=(1, 0), v2=(1, 0)), _of(v1=(0, 0), v2=(100, 40))],
    ids=["nothing", "only the old one, well", "too little", "the old one idle"],
)
def test_what_cannot_be_told_is_not_guessed(seen: Windows) -> None:
    assert _cause(seen) is Origin.UNKNOWN


def test_a_version_that_stopped_when_the_new_one_came_tells_nothing() -> None:
    """It was well before the last change, and never ran beside the new one."""
    before = (("version", "v1"),)
    after = (("version", "v2"),)
    seen = windows(
        [signal("requests"), signal("errors")],
        read("requests", [100 * n for n in range(7)], labels=before),
        read("errors", [0] * 7, labels=before),
        read("requests", [100 * n for n in range(6)], labels=after, start=at(32)),
        read("errors", [40 * n for n in range(6)], labels=after, start=at(32)),
    )
    assert _cause(seen) is Origin.UNKNOWN
    assert _cause(seen, SCHEMA) is Origin.DATA


def test_a_change_that_breaks_both_is_seen_although_they_were_well_for_long() -> None:
    samples = []
    for version in ("v1", "v2"):
        labels = (("version", version),)
        samples.append(read("requests", [100 * n for n in range(121)], labels=labels))
        samples.append(read("errors", [max(0, 40 * (n - 114)) for n in range(121)], labels=labels))
    seen = windows([signal("requests"), signal("errors")], *samples)
    assert attribute(seen, COMPARISON, RELEASE, SCHEMA, T0, at(600)).origin is Origin.DATA


def test_what_happened_before_the_release_does_not_count() -> None:
    seen = _of(v1=(100, 40), v2=(100, 0))
    assert attribute(seen, COMPARISON, RELEASE, {}, at(55), at(60)).origin is not Origin.CODE
    assert attribute(seen, COMPARISON, RELEASE, {}, at(60), at(60)).origin is Origin.UNKNOWN


CODE = Attribution(Origin.CODE, "only the new version fails")
DATA = Attribution(Origin.DATA, "the old version fails too", both=True)
ELSEWHERE = Attribution(Origin.ELSEWHERE, "the old version fails alike", both=True)


def _breached(told: Attribution | None, proof: dict[str, str] | None = None) -> Climb:
    climb = Climb()
    climb.start()
    climb.say(replace(judged(errors=breach(), proof=proof or {}), attribution=told))
    return climb


def _incident(climb: Climb) -> Incident:
    assert climb.guard.incident is not None
    return climb.guard.incident


def test_it_is_told_once_and_again_when_it_is_seen_otherwise() -> None:
    climb = _breached(CODE)
    assert _incident(climb).attribution == CODE
    again = climb.say(replace(judged(errors=breach()), attribution=replace(CODE, why="with other numbers")))
    assert not [one for one in again if isinstance(one, ev.Attributed)]
    climb.say(replace(judged(errors=breach()), attribution=Attribution(Origin.UNKNOWN, "no requests any more")))
    assert _incident(climb).attribution == CODE
    climb.say(replace(judged(errors=breach()), attribution=ELSEWHERE))
    assert _incident(climb).attribution == ELSEWHERE


def test_where_old_code_fails_too_the_climb_begins_at_the_data() -> None:
    assert _incident(_breached(DATA, SCHEMA)).enters is RungKind.DATA
    assert _incident(_breached(replace(DATA, both=False), SCHEMA)).enters is not RungKind.DATA
    assert _incident(_breached(CODE, SCHEMA)).enters is not RungKind.DATA


@pytest.mark.parametrize("told", [CODE, ELSEWHERE])
def test_data_waits_for_a_person_where_it_does_not_look_like_the_data(told: Attribution) -> None:
    climb = _breached(told, SCHEMA)
    while climb.phase() is RunPhase.ACTING:
        climb.after(Recovery.STILL_BROKEN)
    assert waits(climb) == f"it does not look like the data ({told.origin}): {told.why}"


def test_after_the_data_rung_began_nothing_more_is_made_of_it() -> None:
    climb = _breached(replace(DATA, both=False), SCHEMA)
    while climb.phase() is RunPhase.ACTING and not _incident(climb).data_touched:
        climb.after(Recovery.STILL_BROKEN)
    assert _incident(climb).data_touched
    climb.say(replace(judged(errors=breach(), proof=SCHEMA), attribution=CODE, doubts={"x": "a node was lost"}))
    assert _incident(climb).attribution == replace(DATA, both=False)
    assert _incident(climb).doubts == {}


def test_people_are_told_what_it_looks_like() -> None:
    guard = _breached(None).guard
    assert tell(guard, ev.Attributed(CODE)) == "It looks like *code*: only the new version fails"
    assert tell(guard, ev.Attributed(Attribution(Origin.UNKNOWN, "too few requests"))) == ""


def test_versions_are_compared_while_a_release_is_watched() -> None:
    seen = _of(v1=(100, 0), v2=(100, 40))
    settings = replace(SETTINGS, versions=(Comparison(Selector("nobody"), Selector("nothing")), COMPARISON))
    guard = Guard(settings, release=ReleaseRecord(RELEASE, ReleaseState.BAKING, T0))
    told = assess(guard, seen, at(60)).attribution
    assert told is not None
    assert told.origin is Origin.CODE
    assert assess(replace(guard, release=None), seen, at(60)).attribution is None
    assert assess(replace(guard, settings=SETTINGS), seen, at(60)).attribution is None
    settled = replace(guard, release=ReleaseRecord(RELEASE, ReleaseState.SETTLED, T0))
    assert assess(settled, seen, at(60)).attribution is None


QUERIES = Queries("seconds", "calls")
STARTED = at(120)
NOW = at(180)
SLOWER = "statements on the release's tables take 3.4 times as long as before T-0, others 1.1 times"


def _counters(
    touches: str, before: float, after: float, *, calls: float = 20, more: Labels = (), since: Time = T0
) -> list[Sample]:
    """Three minutes, one reading every 5 s: the mean of a statement before T-0 (after two minutes) and after it."""
    labels = (*more, ("touches", touches))
    ticks = [n for n in range(37) if at(5 * n) >= since]
    took = [calls * (before * min(n, 24) + after * max(0, n - 24)) for n in ticks]
    return [
        *read("calls", [calls * n for n in ticks], labels=labels, start=since),
        *read("seconds", took, labels=labels, start=since),
    ]


def _seen(*samples: list[Sample]) -> Windows:
    return windows([signal("calls"), signal("seconds")], *samples)


def _frozen(seen: Windows) -> Baseline | None:
    return freeze(seen, STARTED, 2 * MINUTE, MINUTE)[0]


def _slower(*samples: list[Sample], queries: Queries = QUERIES) -> str:
    seen = _seen(*samples)
    return slower(seen, queries, _frozen(seen), STARTED, NOW)


def test_statements_that_became_slower_where_the_release_is_are_told_from_a_busy_server() -> None:
    theirs, others = _counters("release", 0.01, 0.034), _counters("other", 0.02, 0.022)
    assert _slower(theirs, others) == SLOWER
    assert _slower(theirs, _counters("other", 0.02, 0.0298)).endswith("others 1.5 times")
    assert _slower(theirs, _counters("other", 0.02, 0.03)) == ""
    assert _slower(_counters("release", 0.01, 0.0299), others) == ""
    assert _slower(_counters("release", 0.01, 0.0301), others).startswith("statements on the release's tables take 3.0")
    assert _slower(theirs, others, queries=replace(QUERIES, times=3.5)) == ""
    assert _slower(theirs, _counters("other", 0.02, 0.0341), queries=replace(QUERIES, times=3.4)) == ""


def test_too_few_statements_have_no_mean() -> None:
    theirs, others = _counters("release", 0.01, 0.034), _counters("other", 0.02, 0.022)
    assert _slower(_counters("release", 0.01, 0.034, calls=LEAST_CALLS / 12), others) == SLOWER
    assert _slower(_counters("release", 0.01, 0.034, calls=LEAST_CALLS / 12 - 0.1), others) == ""
    assert _slower(theirs, _counters("other", 0.02, 0.022, calls=LEAST_CALLS / 12 - 0.1)) == ""
    assert _slower(theirs) == ""
    assert _slower(others) == ""
    assert _slower([_rarer(one) for one in theirs], others) == ""
    assert _slower(_counters("release", 0, 0.034), others) == ""


def _rarer(sample: Sample) -> Sample:
    """A twentieth of it before T-0, and afterwards as much as before."""
    assert isinstance(sample.value, float | int)
    usual = {"calls": 480.0, "seconds": 4.8}[sample.signal.name]
    return replace(sample, value=sample.value / 20 if sample.at <= STARTED else sample.value - usual + usual / 20)


def test_only_the_last_minute_and_only_since_t0_counts() -> None:
    samples = _counters("release", 0.01, 0.034), _counters("other", 0.02, 0.022)
    seen = _seen(*samples)
    frozen = _frozen(seen)
    assert slower(seen, QUERIES, frozen, at(150), NOW) == SLOWER
    assert slower(seen, QUERIES, frozen, at(60), NOW) == SLOWER
    assert slower(seen, QUERIES, frozen, at(175), NOW) == ""
    assert slower(seen, QUERIES, frozen, T0, at(150)) == ""
    assert slower(seen, QUERIES, None, STARTED, NOW) == ""


def test_what_fell_out_of_the_view_is_no_slower_statement() -> None:
    """The seconds fall and the calls do not: what they show as risen is all that was ever counted."""
    others = _counters("other", 0.02, 0.022)
    steady = _counters("release", 0.01, 0.01)
    fallen = [
        replace(one, value=one.value - 0.5)
        if one.signal.name == "seconds" and one.at >= at(150) and isinstance(one.value, float)
        else one
        for one in steady
    ]
    assert _slower(fallen, others) == ""
    slow = [
        replace(one, value=one.value - 4)
        if one.signal.name == "seconds" and one.at >= at(150) and isinstance(one.value, float)
        else one
        for one in _counters("release", 0.01, 0.034)
    ]
    assert _slower(slow, others) == SLOWER


def test_other_tables_than_before_are_not_compared() -> None:
    before, after = (("tables", "aaa"),), (("tables", "bbb"),)
    others = _counters("other", 0.02, 0.022)
    assert _slower(_counters("release", 0.01, 0.034, more=before), others) == SLOWER
    assert _slower(_counters("release", 0.01, 0.034, more=after, since=at(125)), others) == ""
    both = [
        *_counters("release", 0.01, 0.034, more=before),
        *_counters("release", 0.01, 0.034, more=after, since=at(125)),
    ]
    assert _slower(both, others) == ""


def test_counters_that_are_not_read_together_are_not_compared() -> None:
    samples = _counters("release", 0.01, 0.1)
    late = [one for one in samples if one.signal.name == "calls" or not at(120) <= one.at <= at(130)]
    assert _slower(late, _counters("other", 0.02, 0.022)) == ""


counts = st.lists(st.floats(0, 1e308), max_size=37)


@given(counts, counts, counts, counts)
def test_no_counters_break_it(a: list[float], b: list[float], c: list[float], d: list[float]) -> None:
    named = ("calls", "release"), ("seconds", "release"), ("calls", "other"), ("seconds", "other")
    samples = [
        read(name, values, labels=(("touches", of),)) for (name, of), values in zip(named, (a, b, c, d), strict=True)
    ]
    said = _slower(*samples)
    assert said == "" or said.startswith("statements on the release's tables take ")


@given(st.floats(1e-6, 10), st.floats(1e-6, 10), st.floats(0.1, 20), st.floats(0.1, 20))
def test_the_means_decide_whatever_the_statements_cost(mine: float, usual: float, slow: float, busy: float) -> None:
    said = _slower(_counters("release", mine, mine * slow), _counters("other", usual, usual * busy))
    if abs(slow - 3) > 1e-6 and abs(busy - 1.5) > 1e-6:
        assert bool(said) == (slow > 3 and busy < 1.5)


def test_slower_statements_are_said_and_change_nothing_else() -> None:
    seen = windows(
        [signal(name) for name in ("calls", "seconds", "requests", "errors")],
        _counters("release", 0.01, 0.034),
        _counters("other", 0.02, 0.022),
    )
    record = ReleaseRecord(RELEASE, ReleaseState.BAKING, STARTED, baseline=_frozen(seen))
    bare = Guard(replace(SETTINGS, versions=(COMPARISON,)), release=record)
    asked = replace(bare, settings=replace(bare.settings, queries=(Queries("nobody", "nothing"), QUERIES)))
    without, found = assess(bare, seen, NOW), assess(asked, seen, NOW)
    assert without.attribution is not None
    assert without.attribution.origin is Origin.UNKNOWN
    assert found == replace(
        without, attribution=replace(without.attribution, why=f"{without.attribution.why}; {SLOWER}")
    )
    alone = assess(replace(asked, settings=replace(asked.settings, versions=())), seen, NOW)
    assert alone.attribution == Attribution(Origin.UNKNOWN, SLOWER)
    assert (alone.proof, alone.doubts) == ({}, {})
    nobody = replace(asked, settings=replace(asked.settings, versions=(), queries=(Queries("nobody", "nothing"),)))
    assert assess(nobody, seen, NOW).attribution is None


def test_data_waits_for_a_person_although_the_release_s_tables_are_slow() -> None:
    climb = _breached(Attribution(Origin.UNKNOWN, SLOWER))
    while climb.phase() is RunPhase.ACTING:
        climb.after(Recovery.STILL_BROKEN)
    assert waits(climb) == "there is no positive evidence that the release did it"
