import json
import math

import httpx

from tests.support.guard_world import release, settings
from tests.web.conftest import START, START_ISO, Site
from watchdog.model.days import DayBefore
from watchdog.model.guards import Baseline, BaselineEntry, Guard, ReleaseRecord, Usual
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.signals import SignalId
from watchdog.model.time import MINUTE
from watchdog.web.baseline_views import baseline_view


def frozen(baseline: Baseline | None, refused: str = "") -> Guard:
    return Guard(
        settings(),
        release=ReleaseRecord(release(), ReleaseState.APPLYING, START, baseline=baseline, baseline_refused=refused),
    )


def test_every_series_has_the_figures_of_its_kind() -> None:
    entries = {
        SignalId("requests", (("endpoint", "10.0.0.1:80"),)): BaselineEntry("counter", rate=2.5, samples=41),
        SignalId("busy"): BaselineEntry("gauge", mean=3.0, low=1.0, high=7.0, samples=41),
        SignalId("latency"): BaselineEntry(
            "distribution", rate=2.0, bounds=(0.1, 0.2, math.inf), counts=(50.0, 100.0, 100.0), samples=41
        ),
        SignalId("quiet"): BaselineEntry("distribution", bounds=(0.1, math.inf), counts=(0.0, 0.0), samples=2),
    }
    found = baseline_view(frozen(Baseline(START - 10 * MINUTE, START, entries)))["baseline"]
    assert (found["since"], found["until"], found["seconds"]) == ("2025-01-08T09:20:00.250Z", START_ISO, 600.0)
    nothing = {"rate": None, "mean": None, "low": None, "high": None, "p50_seconds": None, "p95_seconds": None}
    busy, latency, quiet, requests = found["series"]
    assert busy == {
        **nothing,
        "signal": "busy",
        "labels": {},
        "kind": "gauge",
        "samples": 41,
        "mean": 3.0,
        "low": 1.0,
        "high": 7.0,
    }
    assert (latency["rate"], latency["mean"]) == (2.0, None)
    assert (latency["p50_seconds"], round(latency["p95_seconds"], 6)) == (0.1, 0.19)
    assert (quiet["p50_seconds"], quiet["p95_seconds"]) == (None, None)
    assert requests == {
        **nothing,
        "signal": "requests",
        "labels": {"endpoint": "10.0.0.1:80"},
        "kind": "counter",
        "samples": 41,
        "rate": 2.5,
    }


def test_what_is_usual_stands_by_rule_and_by_day() -> None:
    day = DayBefore(START - 2 * MINUTE, START - MINUTE, shares={"errors": 0.01}, quantiles={"slow": 0.4})
    bad = DayBefore(0, MINUTE, left_out="90 % failed")
    usual = {"errors": Usual(0.02, 0.1, 40)}
    found = baseline_view(frozen(Baseline(0, START, usual=usual, days=(day, bad), slowest={"slow": math.inf})))
    json.dumps(found, allow_nan=False)
    assert found["baseline"]["usual"] == {"errors": {"share": 0.02, "burstiness": 0.1, "readings": 40}}
    assert found["baseline"]["slowest_seconds"] == {"slow": "inf"}
    first, second = found["baseline"]["days"]
    assert first["shares"] == {"errors": 0.01}
    assert (first["quantile_seconds"], first["left_out"]) == ({"slow": 0.4}, "")
    assert (second["since"], second["left_out"]) == ("1970-01-01T00:00:00.000Z", "90 % failed")


def test_why_there_is_none() -> None:
    refused = baseline_view(frozen(None, "no signal has been read yet"))
    assert (refused["baseline"], refused["refused"]) == (None, "no signal has been read yet")
    assert (refused["release"], refused["t0"]) == ("r1", START_ISO)
    nobody = baseline_view(Guard(settings()))
    assert nobody == {"guard": "shop", "release": None, "t0": None, "refused": "", "baseline": None}


async def test_the_api_says_it(api: httpx.AsyncClient, site: Site) -> None:
    await site.seconds(30)
    await site.daemon.start_release("shop", Release("r1", ()))
    answer = await api.get("/v1/guards/shop/baseline")
    assert answer.status_code == 200
    assert [one["signal"] for one in answer.json()["baseline"]["series"]] == ["errors", "requests"]
    assert (await api.get("/v1/guards/shopp/baseline")).status_code == 404
