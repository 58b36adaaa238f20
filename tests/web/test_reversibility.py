import httpx
import pytest

from tests.web.conftest import Site, settings
from tests.web.test_metrics import one, scrape
from watchdog.model.guards import Guard, ReleaseRecord
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, ReleaseState, Surroundings
from watchdog.model.time import MINUTE, SECOND
from watchdog.web.reversibility import Kept, reversibility
from watchdog.web.views import guard_view


def certificate(*, restored: bool = True, took: int = 2 * SECOND, findings: tuple[str, ...] = ()) -> Certificate:
    return Certificate("c1", 0, Surroundings("18"), "hash", restored, Compatibility.COMPATIBLE, took, findings)


def guard(held: Certificate | None, state: ReleaseState = ReleaseState.BAKING) -> Guard:
    return Guard(settings(), release=ReleaseRecord(Release("r1", ("one", "two"), certificate=held), state, 0))


def test_a_valid_certificate_predicts_the_rollback() -> None:
    found = reversibility(guard(certificate()), Kept(2, ""))
    assert found is not None
    assert (found.certificate_valid, found.reason, found.predicted, found.budget) == (True, "", 2 * SECOND, 5 * MINUTE)
    assert (found.budget_met, found.archives_complete) == (True, True)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (None, "no certificate"),
        (certificate(restored=False), "the rehearsal did not restore schema and data"),
        (certificate(restored=False, findings=("it does not hold here: other schema",)), "it does not hold here"),
    ],
)
def test_without_a_valid_one_the_budget_cannot_be_met(held: Certificate | None, reason: str) -> None:
    found = reversibility(guard(held), Kept(1, ""))
    assert found is not None
    assert found.reason.startswith(reason)
    assert (found.certificate_valid, found.predicted, found.budget_met) == (False, None, False)
    assert found.archives_complete is False


def test_a_rollback_longer_than_the_budget_does_not_meet_it() -> None:
    found = reversibility(guard(certificate(took=6 * MINUTE)))
    assert found is not None
    assert (found.certificate_valid, found.budget_met, found.archives_complete) == (True, False, None)


@pytest.mark.parametrize("state", [ReleaseState.SETTLED, ReleaseState.DISARMED, ReleaseState.ROLLED_BACK])
def test_a_release_that_is_done_with_has_no_way_back(state: ReleaseState) -> None:
    assert reversibility(guard(certificate(), state)) is None
    assert reversibility(Guard(settings())) is None
    assert guard_view(guard(certificate(), state), {}, 0)["reversibility"] is None


async def test_it_is_in_the_metrics_and_in_the_status(
    site: Site, tcp: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    await site.seconds(20)
    assert one(await scrape(tcp), "certificate_valid", guard="shop") is None
    release = Release("r1", ("one", "two"), protection=Protection.FULL, certificate=certificate())
    await site.daemon.start_release("shop", release)
    samples = await scrape(tcp)
    assert one(samples, "certificate_valid", guard="shop") == 1
    assert one(samples, "rollback_budget_seconds", guard="shop") == 300
    assert one(samples, "rollback_predicted_seconds", guard="shop") == 2
    assert one(samples, "rollback_budget_met", guard="shop") == 1
    assert one(samples, "release_migrations", guard="shop") == 2
    assert one(samples, "release_archived_runs", guard="shop") is None
    view = (await api.get("/v1/guards/shop")).json()["reversibility"]
    assert (view["certificate_valid"], view["predicted_seconds"], view["budget_met"]) == (True, 2.0, True)
    assert (view["archived_runs"], view["archives_unknown"]) == (None, "nobody has counted the archives yet")


def test_what_is_kept_shows_in_both() -> None:
    view = guard_view(guard(certificate()), {}, 0, Kept(1, ""))["reversibility"]
    assert (view["archived_runs"], view["archives_complete"]) == (1, False)
