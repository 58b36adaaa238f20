from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import SlackDouble

Listener = Callable[[SocketModeClient, SocketModeRequest], Awaitable[None]]
Connect = Callable[[Listener], Awaitable[SocketModeClient]]


@pytest.fixture
def ack_seconds() -> float:
    return 3.0


@pytest.fixture
async def double(ack_seconds: float) -> AsyncIterator[SlackDouble]:
    running = await SlackDouble.start(
        bot_token="xoxb-right",
        app_token="xapp-right",
        channels=("incidents", "stakeholders"),
        users={"U0ANA00001": "Ana Souza", "U0BEN00002": "Ben Okafor"},
        usergroups={"S0RESPOND1": ["U0ANA00001"]},
        ack_seconds=ack_seconds,
    )
    yield running
    await running.stop()


@pytest.fixture
def client(double: SlackDouble) -> AsyncWebClient:
    made = AsyncWebClient("xoxb-right", base_url=double.api_url, retry_handlers=[])
    made.proxy = None
    return made


@pytest.fixture
async def connect(double: SlackDouble, client: AsyncWebClient) -> AsyncIterator[Connect]:
    """Opens Socket Mode connections whose envelopes go to a listener."""
    opened: list[SocketModeClient] = []

    async def open_one(listener: Listener) -> SocketModeClient:
        before = double.connections
        socket = SocketModeClient("xapp-right", web_client=client, ping_interval=2)
        opened.append(socket)
        socket.proxy = None
        socket.socket_mode_request_listeners.append(listener)  # type: ignore[arg-type]  # narrower client than declared
        await socket.connect()  # type: ignore[no-untyped-call]  # the sdk left it so
        await double.wait_for(lambda d: d.connections > before, 5)
        return socket

    yield open_one
    for socket in opened:
        await socket.close()  # type: ignore[no-untyped-call]  # the sdk left it so
