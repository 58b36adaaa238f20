import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.actions.conftest import Contexts, Plain, Roles
from watchdog.actions.http import KIND, HttpActionOptions, HttpCheck
from watchdog.model.time import MILLISECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import StepError, StepUncertainError
from watchdog.ports.kinds import Duration
from watchdog.servers.process import free_port
from watchdog.targets.http import HttpOptions, HttpTarget


@dataclass
class Service:
    """Remembers requests, and answers what a test says."""

    target: HttpTarget
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    requests: list[tuple[str, str, dict[str, str], object]] = field(default_factory=list)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async def fine(_: web.Request) -> web.Response:
        return web.json_response({"state": "v1"})

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        made.requests.append((request.method, request.path, dict(request.headers), body))
        return await made.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    options = HttpOptions(url=url, timeout=Duration(500 * MILLISECOND), headers={"Authorization": Plain("Bearer t")})
    made = Service(HttpTarget("service", options), fine)
    yield made
    await made.target.close()
    await runner.cleanup()


def step(target: HttpTarget, **options: object) -> Action:
    return KIND.build("service", HttpActionOptions(**options), Roles({"service": target}))  # type: ignore[arg-type]


def answering(status: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    return answer


async def test_the_request_carries_key_epoch_facts_and_headers(service: Service, context: Contexts) -> None:
    mine = context(epoch=4, facts={"old_version": "v1"})
    action = step(service.target, path="/deploy/{old_version}", json={"to": ["{old_version}", 3]})
    assert await action.execute(mine) == "POST /deploy/v1 answered 200"
    [(method, path, headers, body)] = service.requests
    assert (method, path, body) == ("POST", "/deploy/v1", {"to": ["v1", 3]})
    assert headers["Idempotency-Key"] == mine.step_id
    assert (headers["X-Watchdog-Epoch"], headers["Authorization"]) == ("4", "Bearer t")


async def test_a_refusal_is_a_failure_and_a_server_error_is_not_known(service: Service, context: Contexts) -> None:
    service.answer = answering(409)
    with pytest.raises(StepError, match="answered 409, not 200"):
        await step(service.target, path="/x").execute(context())
    service.answer = answering(503)
    with pytest.raises(StepUncertainError, match="answered 503"):
        await step(service.target, path="/x").execute(context())


async def test_a_redirect_is_not_followed(service: Service, context: Contexts) -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    service.answer = away
    with pytest.raises(StepError, match="answered 302"):
        await step(service.target, path="/x").execute(context())
    assert len(service.requests) == 1


async def test_a_lost_answer_is_uncertain_and_verified_by_the_check(service: Service, context: Contexts) -> None:
    async def slow(request: web.Request) -> web.Response:
        if request.method == "POST":
            await asyncio.sleep(5)
        return web.json_response({"state": "v1"})

    service.answer = slow
    action = step(service.target, path="/x", verify=HttpCheck(path="/state", contains='"v1"'))
    with pytest.raises(StepUncertainError, match="broke off"):
        await action.execute(context())
    assert (await action.verify(context())).applied is Applied.YES
    other = step(service.target, path="/x", verify=HttpCheck(path="/state", contains='"v2"'))
    assert (await other.verify(context())).applied is Applied.NO
    service.answer = answering(500)
    assert (await action.verify(context())).applied is Applied.CANNOT_TELL
    assert (await step(service.target, path="/x").verify(context())).applied is Applied.CANNOT_TELL


async def test_a_service_that_was_not_reached_has_done_nothing(context: Contexts) -> None:
    target = HttpTarget("service", HttpOptions(url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StepError, match="does not answer"):
        await step(target, path="/x").execute(context())
    action = step(target, path="/x", verify=HttpCheck(path="/state"))
    assert (await action.verify(context())).applied is Applied.CANNOT_TELL
    await target.close()


def test_mistakes_are_named() -> None:
    options = HttpActionOptions(path="x/{old}", expect=(), verify=HttpCheck(path="y"))
    said = " ".join(KIND.complaints(options))
    for part in ("{old} is unknown", "'x/{old}' must begin", "'y' must begin", "expect is empty"):
        assert part in said
