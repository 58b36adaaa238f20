import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.web.conftest import Site
from watchdog.model.inputs import Approve, Freeze, Resolve, Trigger
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, Surroundings
from watchdog.model.rules import RungKind
from watchdog.model.signals import Cause
from watchdog.model.time import SECOND
from watchdog.ports.errors import ProbeError

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(tcp: httpx.AsyncClient) -> Samples:
    answer = await tcp.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"watchdog_{name}", tuple(sorted(labels.items()))))


async def break_release(site: Site) -> None:
    await site.seconds(20)
    proof = Certificate(
        "c1", 0, Surroundings("18"), "hash", restored=True, old_code=Compatibility.COMPATIBLE, measured=2 * SECOND
    )
    release = Release("r1", ("add_score",), ("new_score",), protection=Protection.FULL, certificate=proof)
    await site.daemon.start_release("shop", release)
    site.shop.errors = 1.0
    await site.seconds(40)


async def test_a_quiet_guard_shows_its_state_and_every_zero(site: Site, tcp: httpx.AsyncClient) -> None:
    await site.seconds(30)
    samples = await scrape(tcp)
    assert one(samples, "guard_info", guard="shop", playbook="emergency", autonomy="act") == 1
    assert one(samples, "ready") == 1
    assert one(samples, "release_state", guard="shop", state="none") == 1
    assert one(samples, "release_state", guard="shop", state="baking") == 0
    assert one(samples, "rule_breach", guard="shop", rule="error_rate") == 0
    assert one(samples, "incident_open", guard="shop") == 0
    assert one(samples, "incidents_total", guard="shop") == 0
    assert one(samples, "data_rollbacks_total", guard="shop") == 0
    assert one(samples, "notices_total", guard="shop", outcome="sent") == 0
    assert one(samples, "frozen", guard="shop") == 0
    assert one(samples, "epoch", guard="shop") == 1
    assert one(samples, "tick_lag_seconds", guard="shop") == 0
    assert one(samples, "probe_failures_total", guard="shop", probe="api") == 0
    assert one(samples, "probe_duration_seconds", guard="shop", probe="api") == 0
    assert one(samples, "journal_append_seconds") is not None
    assert one(samples, "rollback_seconds", guard="shop", outcome="recovered") is None


async def test_no_data_is_no_breach_and_not_none_either(site: Site, tcp: httpx.AsyncClient) -> None:
    site.shop.down = ProbeError(Cause.UNREACHABLE, "gone")
    await site.seconds(3)
    samples = await scrape(tcp)
    assert one(samples, "rule_no_data", guard="shop", rule="error_rate") == 1
    assert one(samples, "rule_breach", guard="shop", rule="error_rate") is None
    assert one(samples, "probe_failures_total", guard="shop", probe="api") == 3


async def test_an_incident_is_measured_while_it_climbs_and_when_it_is_over(site: Site, tcp: httpx.AsyncClient) -> None:
    site.may_act.clear()
    await break_release(site)
    climbing = await scrape(tcp)
    assert one(climbing, "rule_breach", guard="shop", rule="error_rate") == 1
    assert one(climbing, "incident_open", guard="shop") == 1
    assert one(climbing, "incidents_total", guard="shop") == 1
    assert one(climbing, "run_rung", guard="shop", rung="flag") == 1
    assert one(climbing, "run_rung", guard="shop", rung="data") == 0
    opened = site.daemon.guard("shop").incident
    release = site.daemon.guard("shop").release
    assert opened is not None
    assert release is not None
    assert one(climbing, "detection_seconds", guard="shop") == (opened.opened_at - release.t0) / 1e9
    site.may_act.set()
    await site.seconds(40)
    over = await scrape(tcp)
    ended = site.daemon.guard("shop").incident
    assert ended is not None
    assert ended.recovered_at is not None
    took = (ended.recovered_at - ended.opened_at) / 1e9
    assert one(over, "rollback_seconds", guard="shop", outcome="recovered") == took
    assert one(over, "run_rung", guard="shop", rung="flag") == 0


async def test_counters_never_fall_when_the_next_incident_forgets_the_last(site: Site, tcp: httpx.AsyncClient) -> None:
    await break_release(site)
    before = await scrape(tcp)
    sent = one(before, "notices_total", guard="shop", outcome="sent")
    assert sent is not None
    assert sent > 0
    assert one(await scrape(tcp), "notices_total", guard="shop", outcome="sent") == sent
    await site.daemon.say("shop", Resolve("ana"))
    await site.daemon.say("shop", Trigger("ana", "again"))
    assert not any(record.outcome == "sent" for record in site.daemon.guard("shop").notices.values())
    after = await scrape(tcp)
    assert (one(after, "notices_total", guard="shop", outcome="sent") or 0) >= sent
    assert one(after, "incidents_total", guard="shop") == 2


async def test_data_rollbacks_add_up_over_releases(site: Site, tcp: httpx.AsyncClient) -> None:
    for number in (1, 2):
        release = Release(f"r{number}", ("m",), protection=Protection.FULL)
        await site.daemon.start_release("shop", release)
        await site.daemon.say("shop", Trigger("ana", "wrong", RungKind.DATA))
        await site.daemon.hear("shop", Approve("ana"))
        assert one(await scrape(tcp), "data_rollbacks_total", guard="shop") == number
        await site.seconds(40)
        await site.daemon.say("shop", Resolve("ana"))


async def test_a_frozen_guard_shows(site: Site, tcp: httpx.AsyncClient) -> None:
    await site.daemon.say("shop", Freeze("ana", "audit"))
    assert one(await scrape(tcp), "frozen", guard="shop") == 1


async def test_openmetrics_is_spoken_to_whoever_asks_for_it(site: Site, tcp: httpx.AsyncClient) -> None:
    await site.seconds(30)
    answer = await tcp.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = openmetrics(answer.text)  # type: ignore[no-untyped-call]  # the parser has no types
    names = {family.name for family in families}
    assert {"watchdog_build", "watchdog_rule_breach", "watchdog_notices", "process_cpu_seconds"} <= names


async def test_labels_are_names_of_the_configuration_and_words_of_the_model(site: Site, tcp: httpx.AsyncClient) -> None:
    await break_release(site)
    labels = {key for (name, pairs) in await scrape(tcp) if name.startswith("watchdog_") for key, _ in pairs}
    assert labels <= {"guard", "rule", "rung", "outcome", "probe", "state", "playbook", "autonomy", "version"}
