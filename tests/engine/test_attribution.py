"""Who fails tells code, data and everything else apart."""

import pytest

from tests.engine.series import T0, at, read, signal, windows
from watchdog.engine.attribution import attribute
from watchdog.engine.windows import Windows
from watchdog.model.attribution import Cause, Comparison
from watchdog.model.releases import Release
from watchdog.model.signals import Selector

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


def _cause(seen: Windows, proof: dict[str, str] | None = None) -> Cause:
    return attribute(seen, COMPARISON, RELEASE, proof or {}, T0, at(60)).cause


def test_only_the_new_version_fails_so_it_is_its_code() -> None:
    seen = _of(v1=(100, 0), v2=(100, 40))
    assert _cause(seen) is Cause.CODE
    assert _cause(seen, SCHEMA) is Cause.CODE
    why = attribute(seen, COMPARISON, RELEASE, {}, T0, at(60)).why
    assert why == "only the new version fails: v2 40.0% of 1200, v1 0.0% of 1200"


def test_both_fail_with_errors_of_the_schema_so_it_is_the_data() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40)), SCHEMA) is Cause.DATA


def test_both_fail_with_other_errors_so_it_is_elsewhere() -> None:
    assert _cause(_of(v1=(100, 40), v2=(100, 40))) is Cause.ELSEWHERE
    assert _cause(_of(v1=(100, 40), v2=(100, 0))) is Cause.ELSEWHERE
    assert _cause(_of(v1=(100, 40))) is Cause.ELSEWHERE


def test_damaged_data_is_the_data_whoever_fails() -> None:
    assert _cause(_of(v1=(100, 0), v2=(100, 40)), DAMAGE) is Cause.DATA


def test_where_only_the_new_version_runs_errors_of_the_schema_decide() -> None:
    assert _cause(_of(v2=(100, 40)), SCHEMA) is Cause.DATA
    assert _cause(_of(v2=(100, 40))) is Cause.UNKNOWN


@pytest.mark.parametrize(
    "seen",
    [_of(), _of(v1=(100, 0)), _of(v1=(1, 0), v2=(1, 0)), _of(v1=(0, 0), v2=(100, 40))],
    ids=["nothing", "only the old one, well", "too little", "the old one idle"],
)
def test_what_cannot_be_told_is_not_guessed(seen: Windows) -> None:
    assert _cause(seen) is Cause.UNKNOWN


def test_what_happened_before_the_release_does_not_count() -> None:
    seen = _of(v1=(100, 40), v2=(100, 0))
    assert attribute(seen, COMPARISON, RELEASE, {}, at(55), at(60)).cause is not Cause.CODE
    assert attribute(seen, COMPARISON, RELEASE, {}, at(60), at(60)).cause is Cause.UNKNOWN
