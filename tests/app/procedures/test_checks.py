import pytest

from tests.app.procedures.conftest import Service, run
from watchdog.app.procedures.checks import Said, check_part, check_values, judge_once, rules_part
from watchdog.app.procedures.parts import Outcome
from watchdog.app.procedures.place import Place
from watchdog.model.signals import Missing
from watchdog.model.time import MILLISECOND


async def test_checks_are_read_once_and_compared_with_what_they_said_before(shop: Place, pg_database: str) -> None:
    settings = shop.guard.settings
    assert check_part("checks", settings, await check_values(shop)).outcome is Outcome.OK
    await run(pg_database, "UPDATE orders SET amount = -1 WHERE id < 3")
    values = await check_values(shop)
    assert values == {"negative": 2.0}
    wrong = check_part("checks", settings, values)
    assert wrong.lines == ("negative (rule negative_amounts): 2, 0 allowed",)
    assert check_part("checks", settings, values, {"negative": 2}).outcome is Outcome.OK
    assert check_part("checks", settings, values, {"negative": 1}).outcome is Outcome.FAILED


async def test_a_check_that_cannot_be_read_was_not_run(shop: Place, pg_database: str) -> None:
    await run(pg_database, "DROP TABLE orders")
    values = await check_values(shop)
    assert isinstance(values["negative"], Missing)
    part = check_part("checks", shop.guard.settings, values)
    assert part.outcome is Outcome.NOT_RUN
    assert 'relation "orders" does not exist' in part.lines[0]


async def test_rules_are_judged_on_readings_of_our_own(shop: Place, service: Service) -> None:
    service.status = 503
    said = {one.rule: one.verdict for one in await judge_once(shop, 40 * MILLISECOND)}
    assert said == {"unhealthy": "breach", "negative_amounts": "no data"}
    service.status = 200
    said = {one.rule: one.verdict for one in await judge_once(shop, 40 * MILLISECOND)}
    assert said["unhealthy"] == "ok"


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [
        (["ok", "no data"], Outcome.OK),
        (["ok", "breach"], Outcome.FAILED),
        (["ok", "probe failed"], Outcome.FAILED),
        (["no data"], Outcome.NOT_RUN),
        ([], Outcome.NOT_RUN),
    ],
)
def test_no_data_is_neither_good_nor_bad(verdicts: list[str], outcome: Outcome) -> None:
    part = rules_part("rules", [Said(f"r{n}", verdict, "so") for n, verdict in enumerate(verdicts)], "here")
    assert part.outcome is outcome
