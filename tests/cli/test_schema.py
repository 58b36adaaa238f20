import json

import pytest

from tests.cli.conftest import Watchdog


@pytest.mark.parametrize(("which", "key"), [("config", "guards"), ("rules", "signals"), ("playbook", "rungs")])
def test_a_schema_is_json_with_the_registered_kinds(watchdog: Watchdog, which: str, key: str) -> None:
    ran = watchdog("schema", which)
    assert ran.exit_code == 0
    assert key in json.loads(ran.output)["properties"]


def test_without_a_word_it_is_the_configurations(watchdog: Watchdog) -> None:
    assert watchdog("schema").output == watchdog("schema", "config", "--json").output
