from typing import Any

import httpx
import pytest

from tests.web.conftest import START_ISO, Site
from watchdog.model.signals import Cause
from watchdog.model.time import SECOND, span
from watchdog.ports.errors import ProbeError

CERTIFICATE: dict[str, Any] = {
    "id": "c1",
    "issued_at": "2025-01-08T09:00:00.000Z",
    "surroundings": {"server": "18", "extensions": ["vector 0.8.1"], "collation": "C", "schema_hash": "ab"},
    "rollback_hash": "hash",
    "restored": True,
    "old_code": "compatible",
    "measured_seconds": 2.5,
    "findings": ["5 tables compared"],
    "scripts": ["c0ffee"],
}

RELEASE: dict[str, Any] = {
    "id": "r1",
    "migrations": ["add_score"],
    "flags": ["new_score"],
    "old_version": "v1",
    "new_version": "v2",
    "protection": "full",
    "certificate": CERTIFICATE,
}


async def shop(api: httpx.AsyncClient) -> Any:
    return (await api.get("/v1/guards/shop")).json()


async def say(api: httpx.AsyncClient, verb: str, body: dict[str, Any] | None = None) -> Any:
    answer = await api.post(f"/v1/guards/shop/{verb}", json=body or {})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def broken(site: Site, api: httpx.AsyncClient) -> None:
    """A release that makes everything fail; the step that would mend it waits."""
    site.may_act.clear()
    await site.seconds(20)
    await say(api, "release", RELEASE)
    site.shop.errors = 1.0
    await site.seconds(40)


async def proposed(api: httpx.AsyncClient) -> None:
    """A data rung that waits for a person: nothing shows that its rollback works."""
    await say(api, "release", {**RELEASE, "certificate": None})
    await say(api, "trigger", {"reason": "customers call", "rung": "data"})


async def test_status_shows_every_guard_and_whether_all_are_watched(site: Site, api: httpx.AsyncClient) -> None:
    before = (await api.get("/v1/status")).json()
    assert (before["ready"], before["reason"]) == (False, "guard shop has not been judged yet")
    await site.seconds(1)
    after = (await api.get("/v1/status")).json()
    assert (after["ready"], after["reason"]) == (True, "watching")
    assert [one["guard"] for one in after["guards"]] == ["shop"]
    assert after["guards"][0]["state"] == "no release"
    assert after["now"] == "2025-01-08T09:30:01.250Z"


async def test_rules_carry_their_verdict_its_sentence_and_its_numbers(site: Site, api: httpx.AsyncClient) -> None:
    assert [one["verdict"] for one in (await shop(api))["rules"]] == ["not judged yet", "not judged yet"]
    await site.seconds(30)
    errors, connections = (await shop(api))["rules"]
    assert (errors["name"], errors["verdict"], errors["armed"]) == ("error_rate", "ok", True)
    assert errors["sentence"]
    assert errors["numbers"]
    assert errors["hold_seconds"] == 300.0
    assert (connections["verdict"], connections["numbers"]) == ("no data", {})


async def test_a_release_starts_with_its_certificate_and_bakes_when_it_is_armed(
    site: Site, api: httpx.AsyncClient
) -> None:
    await site.seconds(20)
    done = await say(api, "release", RELEASE)
    assert done["events"][0]["type"] == "ReleaseStarted"
    assert "add_score" in done["events"][0]["sentence"]
    release = done["guard"]["release"]
    assert (release["id"], release["state"], release["protection"]) == ("r1", "applying", "full")
    assert release["certificate"] == CERTIFICATE
    assert release["baseline"]["series"] == 2
    assert release["t0"] == "2025-01-08T09:30:20.250Z"
    assert release["bake_left_seconds"] is None
    await say(api, "arm")
    await site.seconds(30)
    release = (await shop(api))["release"]
    assert (release["state"], release["bake_left_seconds"]) == ("baking", 90.0)
    await say(api, "disarm", {"reason": "wrong window"})
    view = await shop(api)
    assert (view["state"], view["release"]["bake_left_seconds"]) == ("disarmed", None)
    disarmed = site.journal.stored("shop")[-1].body
    assert "ana@desk" in repr(disarmed)


async def test_without_history_the_refused_baseline_says_why(api: httpx.AsyncClient) -> None:
    release = (await say(api, "release", {"id": "r1"}))["guard"]["release"]
    assert release["baseline"] is None
    assert release["baseline_refused"]
    assert release["protection"] == "code-only"


async def test_an_incident_is_shown_while_it_climbs_and_after_it_recovered(site: Site, api: httpx.AsyncClient) -> None:
    await broken(site, api)
    incident = (await shop(api))["incident"]
    assert (incident["id"], incident["open"], incident["rules"]) == ("shop-1", True, ["error_rate"])
    assert incident["status"] == "rolling back, rung flag"
    assert incident["evidence"][0]["basis"] == "confident"
    assert incident["seconds_after_t0"] == pytest.approx(incident["seconds_open"], abs=40)
    [step] = incident["run"]["steps"]
    assert (step["name"], step["rung"], step["state"]) == ("switch off", "flag", "intended")
    assert step["seconds"] > 0
    site.may_act.set()
    await site.seconds(40)
    incident = (await shop(api))["incident"]
    [step] = incident["run"]["steps"]
    assert (step["state"], step["detail"]) == ("done", "switched 1 flag off")
    assert incident["outcome"] == "recovered"
    assert incident["seconds_to_recover"] > 0
    assert (await shop(api))["state"] == "recovered"


async def test_notices_say_what_became_of_them(site: Site, api: httpx.AsyncClient) -> None:
    await broken(site, api)
    notices = {one["topic"]: one for one in (await shop(api))["notices"]}
    assert (notices["detected"]["outcome"], notices["detected"]["channel"]) == ("sent", "incidents")
    assert notices["status page"]["outcome"] == "skipped"
    assert notices["status page"]["detail"] == "no channel configured"
    assert notices["stakeholders"]["outcome"] == "owed"


async def test_an_incident_of_the_past_is_told_from_its_events(site: Site, api: httpx.AsyncClient) -> None:
    await broken(site, api)
    site.may_act.set()
    await site.seconds(120)
    await say(api, "trigger", {"reason": "customers call", "rung": "data"})
    first = (await api.get("/v1/guards/shop/incidents/shop-1")).json()
    assert (first["id"], first["open"], first["outcome"], first["guard"]) == ("shop-1", False, "recovered", "shop")
    assert first["release"]["id"] == "r1"
    assert first["seconds_pending"] == 0.0
    types = [one["type"] for one in first["events"]]
    assert types[0] == "IncidentOpened"
    assert "Resolved" in types
    assert {one["incident"] for one in first["notices"]} == {"shop-1"}
    second = (await api.get("/v1/guards/shop/incidents/shop-2")).json()
    assert (second["open"], second["manual"], second["seconds_pending"]) == (True, True, None)
    assert second["reason"] == "customers call"
    missing = await api.get("/v1/guards/shop/incidents/shop-9")
    assert missing.status_code == 404
    assert "shop-9" in missing.json()["error"]


async def test_events_are_paged_by_their_numbers(site: Site, api: httpx.AsyncClient) -> None:
    await broken(site, api)
    everything = (await api.get("/v1/guards/shop/events")).json()
    assert [one["seq"] for one in everything["events"]] == list(range(1, everything["last"] + 1))
    assert everything["events"][0]["at"] == START_ISO
    page = (await api.get("/v1/guards/shop/events", params={"after": 2, "limit": 3})).json()
    assert ([one["seq"] for one in page["events"]], page["last"], page["more"]) == ([3, 4, 5], 5, True)
    behind = (await api.get("/v1/guards/shop/events", params={"after": everything["last"]})).json()
    assert behind == {"events": [], "last": everything["last"], "more": False}


async def test_a_proposal_is_approved_or_denied_by_a_named_person(site: Site, api: httpx.AsyncClient) -> None:
    await proposed(api)
    run = (await shop(api))["incident"]["run"]
    assert (run["phase"], run["proposal"]["rung"], run["proposal"]["escalated"]) == ("proposed", "data", False)
    denied = await say(api, "deny", {"incident": "shop-1"})
    assert "ana@desk" in denied["events"][0]["sentence"]
    assert denied["guard"]["incident"]["run"]["rungs"][0]["outcome"] == "denied"


async def test_people_acknowledge_hold_release_abort_and_resolve(site: Site, api: httpx.AsyncClient) -> None:
    await proposed(api)
    await say(api, "ack", {"incident": "shop-1"})
    held = (await say(api, "hold", {"reason": "looking", "seconds": 90.5}))["guard"]["incident"]
    assert held["acknowledged"] == {"who": "ana@desk", "at": START_ISO}
    assert (held["hold"]["reason"], held["hold"]["until"]) == ("looking", "2025-01-08T09:31:30.750Z")
    assert (await say(api, "unhold"))["guard"]["incident"]["hold"] is None
    aborted = (await say(api, "abort", {"reason": "we mend it by hand"}))["guard"]["incident"]
    assert aborted["outcome"] == "aborted"
    resolved = (await say(api, "resolve", {"reason": "mended"}))["guard"]
    assert resolved["incident"]["open"] is False
    assert [one["id"] for one in resolved["closed"]] == ["shop-1"]


async def test_what_the_state_does_not_allow_is_a_conflict_with_its_reason(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/guards/shop/arm")
    assert answer.status_code == 409
    assert answer.json()["error"] == "guard shop has no release: start one with `watchdog release start`"


@pytest.mark.parametrize("verb", ["ack", "approve", "deny", "unhold", "abort", "resolve", "hold"])
async def test_a_word_about_another_incident_is_refused(api: httpx.AsyncClient, verb: str) -> None:
    await say(api, "trigger", {"reason": "customers call"})
    body = {"incident": "shop-7"} | ({"reason": "x"} if verb in {"abort", "hold"} else {})
    answer = await api.post(f"/v1/guards/shop/{verb}", json=body)
    assert answer.status_code == 409
    assert "shop-7 is not open" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/guards/shopp"),
        ("GET", "/v1/guards/shopp/events"),
        ("GET", "/v1/guards/shopp/incidents/shopp-1"),
        ("POST", "/v1/guards/shopp/arm"),
        ("POST", "/v1/guards/shopp/release"),
    ],
)
async def test_an_unknown_guard_is_not_found_and_the_known_are_named(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "no guard 'shopp'; there are: shop"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("trigger", {}, "reason"),
        ("trigger", {"reason": "   "}, "reason"),
        ("trigger", {"reason": "x", "rung": "roof"}, "rung"),
        ("trigger", {"reason": "x", "ring": "data"}, "ring"),
        ("hold", {"reason": "x", "seconds": -1}, "seconds"),
        ("hold", {"reason": "x", "seconds": "90"}, "seconds"),
        ("disarm", {"reason": 5}, "reason"),
        ("release", {"migrations": ["a"]}, "id"),
        ("release", {"id": "r1", "migrations": ["a", 7]}, "migrations.1"),
        ("release", {"id": "r1", "protection": "none"}, "protection"),
        ("release", {"id": "r1", "certificate": {**CERTIFICATE, "restored": "yes"}}, "certificate.restored"),
        (
            "release",
            {"id": "r1", "certificate": {**CERTIFICATE, "issued_at": "2025-01-08T09:00:00"}},
            "certificate.issued_at",
        ),
    ],
)
async def test_a_bad_body_names_the_field(api: httpx.AsyncClient, verb: str, body: dict[str, Any], field: str) -> None:
    answer = await api.post(f"/v1/guards/shop/{verb}", json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert answer.json()["error"].startswith(f"{field}: ")


async def test_a_body_that_is_no_json_is_refused_without_being_repeated(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/guards/shop/trigger", content=b'{"reason": hunter2')
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    wrong = await api.post("/v1/guards/shop/hold", json={"reason": "x", "seconds": "hunter2"})
    assert wrong.status_code == 422
    assert "hunter2" not in wrong.text


async def test_a_body_without_end_is_cut_off(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/guards/shop/trigger", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=10001", "after=99999999999999999999"])
async def test_a_bad_query_names_the_parameter(api: httpx.AsyncClient, query: str) -> None:
    answer = await api.get(f"/v1/guards/shop/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.partition("=")[0]


async def test_a_journal_without_room_is_unavailable_and_nothing_was_done(site: Site, api: httpx.AsyncClient) -> None:
    site.journal.full = True
    answer = await api.post("/v1/guards/shop/trigger", json={"reason": "customers call"})
    assert answer.status_code == 503
    assert "no room" in answer.json()["error"]
    assert (await shop(api))["incident"] is None
    site.journal.full = False


async def test_an_unknown_path_and_a_wrong_method_answer_in_json(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v2/status")).json() == {"error": "GET /v2/status: Not Found"}
    wrong = await api.get("/v1/guards/shop/arm")
    assert wrong.status_code == 405
    assert "GET /v1/guards/shop/arm" in wrong.json()["error"]


@pytest.mark.parametrize(
    ("header", "name"),
    [(None, "somebody at the socket"), ("jürgen@büro".encode(), "jürgen@büro"), (b"x" * 300, "x" * 100)],
)
async def test_who_speaks_is_on_record(api: httpx.AsyncClient, header: bytes | None, name: str) -> None:
    del api.headers["X-Watchdog-Who"]
    if header is not None:
        api.headers = httpx.Headers([(b"X-Watchdog-Who", header)])
    done = await api.post("/v1/guards/shop/trigger", json={"reason": "x"})
    assert done.json()["guard"]["incident"]["opened_by"] == name


async def test_a_broken_probe_is_told_apart_from_a_quiet_service(site: Site, api: httpx.AsyncClient) -> None:
    site.shop.down = ProbeError(Cause.UNREACHABLE, "api at 127.0.0.1:1 does not answer")
    await site.seconds(span(5) // SECOND)
    rule = (await shop(api))["rules"][0]
    assert rule["verdict"] in {"no data", "probe failed"}
    assert "does not answer" in rule["sentence"]
