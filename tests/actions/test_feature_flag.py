from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.actions.conftest import Contexts, Guarded, Roles
from watchdog.actions.feature_flag import KIND, FeatureFlagOptions
from watchdog.model.time import MILLISECOND, SECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError, StepError
from watchdog.ports.kinds import Duration, Role
from watchdog.targets.http import HttpOptions, HttpTarget

FACTS = {"flags": "reembed, other"}


@pytest.fixture
async def flags(guarded: Guarded) -> Guarded:
    await guarded.fetch(
        "SET ROLE step_owner; CREATE TABLE feature_flags (name text PRIMARY KEY, enabled bool NOT NULL,"
        " rollout_percentage int NOT NULL, updated_at timestamptz, updated_by text);"
        "INSERT INTO feature_flags VALUES ('reembed', true, 50), ('other', true, 100), ('unrelated', true, 100)"
    )
    return guarded


@pytest.fixture
async def service(flags: Guarded, resources: Roles) -> AsyncIterator[list[object]]:
    """A service whose answer to /flags is the list's first entry, dropped after each answer but the last."""
    answers: list[object] = []

    async def show(_: web.Request) -> web.Response:
        return web.json_response(answers.pop(0) if len(answers) > 1 else answers[0])

    app = web.Application()
    app.router.add_get("/flags", show)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    target = HttpTarget("service", HttpOptions(url=f"http://127.0.0.1:{runner.addresses[0][1]}"))
    resources.targets["service"] = target
    yield answers
    await target.close()
    await runner.cleanup()


def step(resources: Roles, **options: object) -> Action:
    return KIND.build("database", FeatureFlagOptions(**options), resources)  # type: ignore[arg-type]


async def test_the_flags_of_the_release_go_off_once_and_no_others(
    flags: Guarded, resources: Roles, context: Contexts
) -> None:
    mine = context(facts=FACTS)
    action = step(resources)
    assert (await action.verify(mine)).applied is Applied.NO
    said = await action.execute(mine)
    assert said.startswith("switched off reembed, other")
    now = await flags.fetch("SELECT name, enabled, rollout_percentage, updated_by FROM feature_flags ORDER BY name")
    assert now == [("other", False, 0, "watchdog"), ("reembed", False, 0, "watchdog"), ("unrelated", True, 100, None)]
    await flags.fetch("UPDATE feature_flags SET enabled = true")
    assert await action.execute(mine) == said, "somebody switched it on again since: not ours to repeat"
    assert await flags.value("SELECT enabled FROM feature_flags WHERE name = 'reembed'")
    assert (await action.verify(mine)).applied is Applied.YES


async def test_what_the_flags_were_is_kept(flags: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources, flags=("reembed",)).execute(context())
    relation = await flags.value("SELECT relation FROM watchdog.archives")
    assert await flags.fetch(f"SELECT name, rollout_percentage FROM watchdog.{relation}") == [("reembed", 50)]


async def test_it_waits_until_the_service_shows_them_off(
    service: list[object], resources: Roles, context: Contexts
) -> None:
    service[:] = [{"reembed": True}, {"reembed": {"enabled": True}}, {"reembed": False}]
    action = step(resources, flags=("reembed",), confirm=Role("service"))
    mine = context()
    assert (await action.execute(mine)).endswith("service shows it")
    assert service == [{"reembed": False}]
    assert (await action.verify(mine)).applied is Applied.YES


@pytest.mark.parametrize("answer", [{"reembed": True}, {"other": False}, ["reembed"]])
async def test_a_service_that_does_not_notice_fails_the_step(
    service: list[object], resources: Roles, context: Contexts, answer: object
) -> None:
    service[:] = [answer]
    options = {"flags": ("reembed",), "confirm": Role("service"), "propagation": Duration(300 * MILLISECOND)}
    mine = context()
    with pytest.raises(StepError, match=r"after 0\.3 s"):
        await step(resources, **options).execute(mine)
    assert (await step(resources, **options).verify(mine)).applied is Applied.NO


async def test_an_unknown_flag_is_named_and_nothing_switched(
    flags: Guarded, resources: Roles, context: Contexts
) -> None:
    with pytest.raises(StepError, match="no flag missing;"):
        await step(resources, flags=("reembed", "missing")).execute(context())
    assert await flags.value("SELECT enabled FROM feature_flags WHERE name = 'reembed'")


async def test_a_release_without_flags_needs_nothing(flags: Guarded, resources: Roles, context: Contexts) -> None:
    action = step(resources)
    assert await action.execute(context()) == "the release has no feature flags"
    assert (await action.verify(context())).applied is Applied.YES


async def test_a_stale_leader_switches_nothing(flags: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources, flags=("other",)).execute(context(epoch=9))
    with pytest.raises(FencedError):
        await step(resources, flags=("reembed",)).execute(context(epoch=8, deadline=context().clock.now() + SECOND))
    assert await flags.value("SELECT enabled FROM feature_flags WHERE name = 'reembed'")


async def test_a_preview_says_which_are_on(flags: Guarded, resources: Roles, context: Contexts) -> None:
    await flags.fetch("UPDATE feature_flags SET enabled = false WHERE name = 'other'")
    assert await step(resources).preview(context(facts=FACTS)) == "would switch off reembed, other (on now: reembed)"
