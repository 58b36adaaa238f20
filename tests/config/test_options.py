import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.conftest import ENVIRON, REGISTRIES, SECRETS, CypherOptions, HttpStepOptions, Project, SqlOptions
from watchdog.config import ConfiguredText, load, step_options
from watchdog.config.options import canonical, plain_of
from watchdog.model.time import SECOND
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import Duration, Script

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)


def stored(options: object) -> str:
    return canonical(plain_of(options))


def test_every_step_comes_back_as_it_was(project: Project) -> None:
    playbook = load(project.config, REGISTRIES, environ=project.environ).guards[0].settings.playbook
    for rung in playbook.rungs:
        for step in rung.steps:
            options = step_options(REGISTRIES.actions[step.kind], step.options)
            assert stored(options) == step.options


def test_durations_scripts_and_nested_options_come_back() -> None:
    options = SqlOptions(script=Script("SELECT 1", "a.sql"), lock_timeout=Duration(5 * SECOND), transactional=False)
    kind = REGISTRIES.actions["sql"]
    assert step_options(kind, stored(options)) == options
    assert json.loads(stored(options))["lock_timeout"] == 5_000_000_000


def test_a_secret_stays_a_reference_in_the_journal() -> None:
    headers = {"Authorization": ConfiguredText("Bearer ${env:SLACK_BOT_TOKEN}", ENVIRON)}
    text = stored(HttpStepOptions(path="/x", headers=headers))
    assert "${env:SLACK_BOT_TOKEN}" in text
    assert not [secret for secret in SECRETS if secret in text]
    again = step_options(REGISTRIES.actions["http"], text, environ=ENVIRON)
    assert again.headers["Authorization"].reveal() == "Bearer xoxb-bot-secret"


@given(body=JSON, expect=st.integers(100, 599) | st.lists(st.integers(100, 599), max_size=3).map(tuple))
def test_options_of_any_json_come_back(body: Any, expect: int | tuple[int, ...]) -> None:
    options = HttpStepOptions(path="/", json=body, expect=expect)
    assert step_options(REGISTRIES.actions["http"], stored(options)) == options


def test_text_that_looks_like_a_number_stays_text() -> None:
    options = CypherOptions(script=Script("RETURN 1"), backup="2025")
    assert step_options(REGISTRIES.actions["cypher"], stored(options)) == options


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"script": 5}', '{"script": {}}', '{"script": {"text": "x"}, "new": 1}']
)
def test_options_of_another_version_say_what_to_do(text: str) -> None:
    with pytest.raises(WatchdogError, match="options of a `sql` step that this version cannot read"):
        step_options(REGISTRIES.actions["sql"], text)


def test_equal_options_are_equal_text() -> None:
    assert canonical({"b": 1, "a": ["ü"]}) == canonical({"a": ["ü"], "b": 1}) == '{"a":["ü"],"b":1}'


def test_a_field_with_an_underscore_is_written_without(project: Project) -> None:
    begin = "      - name: clear the service's cache\n"
    ladder = "rollbacks/emergency/playbook.yaml"
    body = "{n: 5, s: '5', b: true, f: 0.5, l: [1, ~]}"
    steps = (
        "      - {name: pause, kind: wait, for: 2s}\n"
        f"      - {{name: call, kind: http, target: api, path: /x, expect: [200, 204], json: {body}}}\n"
    )
    project.change(ladder, begin, steps + begin)
    project.change("rules/automatic.yaml", "where: {status: ", "not: {status: 404}, where: {status: ")
    configuration = load(project.config, REGISTRIES, environ=project.environ)
    data = configuration.guards[0].settings.playbook.rungs[3].steps
    assert json.loads(data[6].options) == {"for": 2 * SECOND}
    assert json.loads(data[7].options)["json"] == {"n": 5, "s": "5", "b": True, "f": 0.5, "l": [1, None]}
    assert json.loads(data[7].options)["expect"] == [200, 204]
    assert configuration.guards[0].probes[0].reads["errors"].not_ == {"status": "404"}
