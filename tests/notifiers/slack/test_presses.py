from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.model.inputs import Acknowledge, Approve, Deny, Input, ReleaseHold, Resolve, SetHold
from watchdog.model.time import MINUTE
from watchdog.notifiers.slack.presses import Press, read_press


def payload(action: str, value: str = "compliance|incident-7", **person: str) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U0ANA00001", **(person or {"username": "ana"})},
        "container": {"channel_id": "C0INCIDENT", "message_ts": "1.000001"},
        "actions": [{"action_id": action, "action_ts": "2.000001", "value": value}],
    }


@pytest.mark.parametrize(
    ("action", "meant"),
    [
        ("ack", Acknowledge("ana", via="slack", incident="incident-7")),
        ("approve", Approve("ana", "incident-7")),
        ("deny", Deny("ana", "incident-7")),
        ("hold", SetHold("ana", "held in Slack", 15 * MINUTE, "incident-7")),
        ("release", ReleaseHold("ana", "incident-7")),
        ("resolve", Resolve("ana", "resolved in Slack", "incident-7")),
    ],
)
def test_each_button_has_its_meaning(action: str, meant: Input) -> None:
    press = read_press(payload(action))

    assert isinstance(press, Press)
    assert (press.guard, press.input) == ("compliance", meant)
    assert (press.channel, press.user, press.thread) == ("C0INCIDENT", "U0ANA00001", "")


def test_a_guard_may_have_a_bar_in_its_name() -> None:
    press = read_press(payload("ack", "eu|compliance|incident-7"))

    assert isinstance(press, Press)
    assert press.guard == "eu|compliance"


@pytest.mark.parametrize(("person", "who"), [({"name": "ben"}, "ben"), ({"username": ""}, "U0ANA00001")])
def test_whoever_has_no_user_name_is_called_by_what_there_is(person: dict[str, str], who: str) -> None:
    press = read_press(payload("ack", **person))

    assert isinstance(press, Press)
    assert press.input == Acknowledge(who, via="slack", incident="incident-7")


@pytest.mark.parametrize("value", ["", "compliance", "|incident-7"])
def test_a_value_without_guard_is_refused(value: str) -> None:
    assert read_press(payload("ack", value)) == "the button 'ack' names no guard and incident"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.sampled_from(["type", "user", "container", "actions"]), max_size=3), JSON)
def test_whatever_comes_is_read_or_refused_with_a_reason(whole: Any, keys: list[str], part: Any) -> None:
    assert isinstance(read_press(whole), str)
    broken = payload("ack") | dict.fromkeys(keys, part)
    assert read_press(broken)
