import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from watchdog.doubles.slack import NotAcknowledgedError, NotThereError, SlackDouble
from watchdog.doubles.slack.socket_mode import MAX_CONNECTIONS

Listener = Callable[[SocketModeClient, SocketModeRequest], Awaitable[None]]
Connect = Callable[[Listener], Awaitable[SocketModeClient]]

BUTTONS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Incident 7*"}},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "text": {"type": "plain_text", "text": "Acknowledge"},
                "action_id": "ack",
                "value": "incident 7",
            }
        ],
    },
]


class App:
    """Keeps every envelope; acknowledges those from the given delivery on."""

    def __init__(self, first_answered: int = 1, answer: dict[str, object] | None = None) -> None:
        self.received: asyncio.Queue[SocketModeRequest] = asyncio.Queue()
        self.deliveries = 0
        self._first_answered = first_answered
        self._answer = answer

    async def __call__(self, client: SocketModeClient, request: SocketModeRequest) -> None:
        self.deliveries += 1
        self.received.put_nowait(request)
        if self.deliveries >= self._first_answered:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, self._answer))

    async def next(self) -> SocketModeRequest:
        async with asyncio.timeout(5):
            return await self.received.get()


async def post(client: AsyncWebClient) -> str:
    answer = await client.chat_postMessage(channel="incidents", text="Incident 7", blocks=BUTTONS)
    return str(answer["ts"])


async def test_a_press_reaches_the_app_with_everything_it_needs(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    await connect(app)
    ts = await post(client)

    ack = await double.press("incidents", ts, "ack", "Ana Souza")

    request = await app.next()
    payload = request.payload
    assert (request.type, request.retry_attempt, request.accepts_response_payload) == ("interactive", None, False)
    assert (ack.envelope_id, ack.deliveries) == (request.envelope_id, 1)
    assert (payload["type"], payload["user"]["id"]) == ("block_actions", "U0ANA00001")
    assert (payload["container"]["message_ts"], payload["message"]["ts"]) == (ts, ts)
    assert payload["channel"] == {"id": double.workspace.channel("incidents").id, "name": "incidents"}
    (action,) = payload["actions"]
    assert (action["action_id"], action["value"], action["type"]) == ("ack", "incident 7", "button")
    assert action["block_id"] == payload["message"]["blocks"][1]["block_id"]
    assert payload["trigger_id"]
    assert payload["response_url"].startswith(double.page_url)


async def test_only_a_button_that_is_there_now_can_be_pressed(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    await connect(App())
    ts = await post(client)

    with pytest.raises(NotThereError, match=r"no button 'hold' .* it has: ack"):
        await double.press("incidents", ts, "hold", "Ana Souza")
    with pytest.raises(NotThereError, match="no user 'Nobody'"):
        await double.press("incidents", ts, "ack", "Nobody")
    await client.chat_update(
        channel=double.workspace.channel("incidents").id, ts=ts, text="Acknowledged", blocks=BUTTONS[:1]
    )
    with pytest.raises(NotThereError, match="no button 'ack'"):
        await double.press("incidents", ts, "ack", "Ana Souza")
    double.delete("incidents", ts)
    with pytest.raises(NotThereError, match="no message"):
        await double.press("incidents", ts, "ack", "Ana Souza")


async def test_a_slash_command_arrives_and_its_answer_is_shown_to_its_user(
    double: SlackDouble, connect: Connect
) -> None:
    app = App(answer={"text": "all quiet"})
    await connect(app)

    ack = await double.slash("/watchdog", "status", "Ben Okafor", "incidents")

    payload = (await app.next()).payload
    assert (payload["command"], payload["text"], payload["user_id"]) == ("/watchdog", "status", "U0BEN00002")
    assert ack.payload == {"text": "all quiet"}
    assert [(m.text, m.only_for) for m in double.ephemerals("incidents")] == [("all quiet", "U0BEN00002")]


async def test_a_broken_answer_to_a_command_is_shown_as_a_failure(double: SlackDouble, connect: Connect) -> None:
    await connect(App(answer={"text": "x", "blocks": [{"type": "banner"}]}))

    await double.slash("/watchdog", "status", "Ben Okafor", "incidents")

    assert [m.text for m in double.ephemerals("incidents")] == ["/watchdog failed: invalid_blocks"]


@pytest.mark.parametrize("ack_seconds", [0.3])
async def test_an_envelope_that_is_not_acknowledged_in_time_comes_again(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App(first_answered=2)
    await connect(app)
    ts = await post(client)

    ack = await double.press("incidents", ts, "ack", "Ana Souza")

    first, second = await app.next(), await app.next()
    assert ack.deliveries == 2
    assert (first.retry_attempt, second.retry_attempt, second.retry_reason) == (None, 1, "timeout")
    assert first.payload == second.payload
    assert first.envelope_id != second.envelope_id


@pytest.mark.parametrize("ack_seconds", [0.05])
async def test_an_app_that_never_answers_or_is_not_there_is_reported(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    ts = await post(client)
    with pytest.raises(NotAcknowledgedError, match="no_connection"):
        await double.press("incidents", ts, "ack", "Ana Souza")

    await connect(App(first_answered=1000))
    with pytest.raises(NotAcknowledgedError, match="timeout"):
        await double.press("incidents", ts, "ack", "Ana Souza")


@pytest.mark.parametrize("ack_seconds", [20.0])
async def test_an_envelope_whose_connection_is_cut_comes_again_on_the_next(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App(first_answered=2)
    await connect(app)
    ts = await post(client)

    pressing = asyncio.create_task(double.press("incidents", ts, "ack", "Ana Souza"))
    first = await app.next()
    assert double.faults.drop_all() == 1
    ack = await pressing

    second = await app.next()
    assert (ack.deliveries, second.retry_reason) == (2, "connection_lost")
    assert first.payload == second.payload


async def test_a_duplicate_envelope_has_the_same_id(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    await connect(app)
    ts = await post(client)
    double.faults.duplicate_envelopes()

    await double.press("incidents", ts, "ack", "Ana Souza")

    first, second = await app.next(), await app.next()
    assert (first.envelope_id, first.payload) == (second.envelope_id, second.payload)


async def test_a_late_envelope_comes_later_than_its_press(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    await connect(app)
    ts = await post(client)
    double.faults.late_envelopes(0.3)
    began = double.workspace.clock()

    await double.press("incidents", ts, "ack", "Ana Souza")

    assert double.workspace.clock() - began >= 300_000_000
    assert app.deliveries == 1


async def test_a_refresh_is_followed_by_a_new_connection_that_works(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    socket = await connect(app)
    ts = await post(client)
    before = socket.current_session

    assert await double.faults.disconnect_all() == 1
    ack = await double.press("incidents", ts, "ack", "Ana Souza")

    assert ack.deliveries == 1
    assert socket.current_session is not before


async def test_several_connections_share_the_envelopes(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    apps = [App(), App()]
    for app in apps:
        await connect(app)
    ts = await post(client)

    for _ in range(4):
        await double.press("incidents", ts, "ack", "Ana Souza")

    assert [app.deliveries for app in apps] == [2, 2]


async def test_hello_comes_first_tickets_work_once_and_pings_are_answered(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    url = (await client.apps_connections_open(app_token="xapp-right"))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as ws:
        hello = await ws.receive_json(timeout=5)
        await ws.send_str("not JSON")
        await ws.send_json(["no", "object"])
        await ws.send_json({"envelope_id": "never sent"})
        await ws.ping(b"sdk-ping-pong:1.5")
        pong = await ws.receive(timeout=5)

        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        assert hello["connection_info"]["app_id"].startswith("A")
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1.5")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await session.ws_connect(url)
        assert refusal.value.status == 404


async def test_an_eleventh_connection_is_sent_away(double: SlackDouble, client: AsyncWebClient) -> None:
    async with aiohttp.ClientSession() as session:
        kept = []
        for _ in range(MAX_CONNECTIONS):
            url = (await client.apps_connections_open(app_token="xapp-right"))["url"]
            kept.append(await session.ws_connect(url))
            await kept[-1].receive_json(timeout=5)
        url = (await client.apps_connections_open(app_token="xapp-right"))["url"]
        one_more = await session.ws_connect(url)

        assert (await one_more.receive_json(timeout=5))["reason"] == "too_many_websockets"
        assert double.connections == MAX_CONNECTIONS


async def test_a_response_url_answers_replaces_and_wears_out(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    await connect(app)
    ts = await post(client)
    await double.press("incidents", ts, "ack", "Ana Souza")
    webhook = AsyncWebhookClient((await app.next()).payload["response_url"], retry_handlers=[])
    webhook.proxy = None

    first = await webhook.send(text="only for you")
    second = await webhook.send(text="for all", response_type="in_channel")
    third = await webhook.send(text="Acknowledged by Ana", blocks=BUTTONS[:1], replace_original=True)
    fourth = await webhook.send(text="gone", delete_original=True)
    fifth = await webhook.send(text="last", response_type="in_channel")
    sixth = await webhook.send(text="one too many")

    assert [(answer.status_code, answer.body) for answer in (first, second, third, fourth, fifth)] == [(200, "ok")] * 5
    assert (sixth.status_code, "used_url" in sixth.body) == (404, True)
    assert [(m.text, m.only_for) for m in double.ephemerals("incidents")] == [("only for you", "U0ANA00001")]
    assert [(m.text, m.deleted) for m in double.messages("incidents")] == [
        ("Acknowledged by Ana", True),
        ("for all", False),
        ("last", False),
    ]


async def test_a_private_answer_can_be_replaced_and_taken_back(
    double: SlackDouble, client: AsyncWebClient, connect: Connect
) -> None:
    app = App()
    await connect(app)
    await client.chat_postEphemeral(channel="incidents", user="U0ANA00001", text="sure?", blocks=BUTTONS)
    (private,) = double.ephemerals("incidents")
    await double.press("incidents", private.ts, "ack", "Ana Souza")
    payload = (await app.next()).payload
    webhook = AsyncWebhookClient(payload["response_url"], retry_handlers=[])
    webhook.proxy = None

    assert payload["container"]["is_ephemeral"] is True
    assert (await webhook.send(text="done", replace_original=True)).body == "ok"
    assert [(m.text, m.only_for) for m in double.ephemerals("incidents")] == [("done", "U0ANA00001")]


async def test_a_response_url_meets_faults_too(double: SlackDouble, client: AsyncWebClient, connect: Connect) -> None:
    app = App()
    await connect(app)
    await double.press("incidents", await post(client), "ack", "Ana Souza")
    webhook = AsyncWebhookClient((await app.next()).payload["response_url"], retry_handlers=[])
    webhook.proxy = None
    double.faults.status("response_url", 500)
    double.faults.reset_after_commit("response_url")

    assert (await webhook.send(text="refused")).status_code == 500
    with pytest.raises(aiohttp.ClientConnectionError):
        await webhook.send(text="there all the same")

    assert [m.text for m in double.ephemerals("incidents")] == ["there all the same"]
