import asyncio
import json
from pathlib import Path

from tests.cli.conftest import Live, Watchdog
from watchdog.journals.samples import SqliteSamples
from watchdog.model.releases import Protection, Release
from watchdog.model.signals import Sample, SignalId
from watchdog.model.time import HOUR, SECOND

START = 1_736_328_600 * SECOND


def break_it(live: Live) -> None:
    live.site.may_act.clear()
    live.seconds(20)
    live.do(live.site.daemon.start_release("shop", Release("r1", ("add_score",), ("new",), protection=Protection.FULL)))
    live.site.shop.errors = 1.0
    live.seconds(40)


def test_a_breach_comes_with_all_that_makes_it(live: Live, watchdog: Watchdog) -> None:
    break_it(live)
    lines = watchdog("rules", "explain", "--guard", "shop", "error_rate").output.splitlines()
    assert lines[0].startswith("error_rate: breach (confident), enters the ladder at ")
    assert "errors of requests: " in lines[1]
    assert any("surely more than" in line for line in lines)
    assert any("both lower bounds are above" in line for line in lines)
    assert lines[-1].startswith("no chart: ")


def test_why_an_incident_opened(live: Live, watchdog: Watchdog) -> None:
    break_it(live)
    ran = watchdog("rules", "explain", "--guard", "shop", "--incident", "shop-1")
    assert ran.exit_code == 0
    assert ran.output.startswith("error_rate: breach (confident) at 2025-01-08T09:30:")
    found = json.loads(watchdog("rules", "explain", "--guard", "shop", "--incident", "shop-1", "--json").output)
    assert found["rules"][0]["rule"] == "error_rate"
    assert found["rules"][0]["numbers"]["recent_lower"] > found["rules"][0]["numbers"]["threshold"]


def test_a_rule_without_data_says_why(live: Live, watchdog: Watchdog) -> None:
    live.seconds(20)
    ran = watchdog("rules", "explain", "--guard", "shop", "lost_connections")
    assert ran.exit_code == 0
    assert ran.output.startswith("lost_connections: no data, enters the ladder at ")


def test_an_unknown_rule_is_wrong_use(live: Live, watchdog: Watchdog) -> None:
    live.seconds(5)
    ran = watchdog("rules", "explain", "--guard", "shop", "eror_rate")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "there are: error_rate" in ran.stderr


def test_the_samples_that_are_kept_make_a_chart(live: Live, watchdog: Watchdog, project: Path) -> None:
    live.seconds(5)
    project.parent.joinpath("state").mkdir()
    rules = project.parent / "rules" / "health.yaml"
    rules.write_text(rules.read_text().replace("unhealthy:", "error_rate:"))

    async def keep() -> None:
        store = await SqliteSamples.open(project.parent / "state" / "samples.db", keep=HOUR)
        samples = [Sample(SignalId("healthy"), START + step * 5 * SECOND, float(step < 30)) for step in range(60)]
        await store.write("shop", samples)
        await store.close()

    asyncio.run(keep())
    ran = watchdog("rules", "explain", "--guard", "shop", "error_rate", "--config", str(project))
    assert ran.exit_code == 0
    assert "█" * 30 + "▁" * 30 in ran.output
    assert "no chart" not in ran.output
