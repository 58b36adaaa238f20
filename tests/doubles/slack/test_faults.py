import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import Fault, Kind, SlackDouble


def texts(double: SlackDouble) -> list[str]:
    return [message.text for message in double.messages("incidents")]


async def test_rate_limited_calls_have_no_effect_and_say_when_to_come_again(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    double.faults.rate_limited("chat.postMessage", times=2, retry_after=7)

    for _ in range(2):
        with pytest.raises(SlackApiError) as refusal:
            await client.chat_postMessage(channel="incidents", text="refused")
        assert refusal.value.response.status_code == 429
        assert refusal.value.response.headers["Retry-After"] == "7"
    await client.chat_postMessage(channel="incidents", text="taken")

    assert texts(double) == ["taken"]
    assert double.faults.pending == ()


@pytest.mark.parametrize(
    ("status", "content_type"), [(500, "application/json"), (502, "text/html"), (503, "text/html")]
)
async def test_http_errors_have_no_effect(
    double: SlackDouble, client: AsyncWebClient, status: int, content_type: str
) -> None:
    double.faults.status("chat.postMessage", status)

    with pytest.raises(SlackApiError) as refusal:
        await client.chat_postMessage(channel="incidents", text="refused")

    assert refusal.value.response.status_code == status
    assert refusal.value.response.headers["Content-Type"].startswith(content_type)
    assert texts(double) == []


async def test_html_can_come_with_status_200(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.html("chat.postMessage")

    with pytest.raises(SlackApiError) as refusal:
        await client.chat_postMessage(channel="incidents", text="refused")

    assert refusal.value.response.status_code == 200
    assert texts(double) == []


async def test_an_error_of_slack_can_be_asked_for(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.error("*", "fatal_error")

    with pytest.raises(SlackApiError, match="fatal_error"):
        await client.auth_test()


async def test_a_slow_call_takes_effect_long_before_its_answer(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.slow("chat.postMessage", 600)

    calling = asyncio.create_task(client.chat_postMessage(channel="incidents", text="slow"))
    await double.wait_for(lambda d: d.messages("incidents"), 5)

    assert not calling.done()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_reset_after_commit_loses_only_the_answer(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.reset_after_commit("chat.postMessage")
    metadata = {"event_type": "notice", "event_payload": {"key": "7/detected"}}

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel="incidents", text="there", metadata=metadata)

    channel = double.workspace.channel("incidents").id
    history = await client.conversations_history(channel=channel, include_all_metadata=True)
    assert [message["metadata"]["event_payload"]["key"] for message in history["messages"]] == ["7/detected"]


async def test_a_reset_before_loses_the_call(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.reset_before("chat.postMessage")

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.chat_postMessage(channel="incidents", text="lost")

    assert texts(double) == []


async def test_the_sdks_own_retry_doubles_a_message_whose_answer_was_lost(double: SlackDouble) -> None:
    trusting = AsyncWebClient("xoxb-right", base_url=double.api_url)
    trusting.proxy = None
    double.faults.reset_after_commit("chat.postMessage")

    await trusting.chat_postMessage(channel="incidents", text="twice")

    assert texts(double) == ["twice", "twice"]


async def test_faults_meet_only_their_method_and_can_be_forgotten(double: SlackDouble, client: AsyncWebClient) -> None:
    double.faults.add(Fault("chat.update", Kind.STATUS, times=3))

    await client.chat_postMessage(channel="incidents", text="unharmed")
    assert [fault.times for fault in double.faults.pending] == [3]
    double.faults.clear()
    assert double.faults.pending == ()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("auth.test", Kind.STATUS, times=0),
        Fault("auth.test", Kind.STATUS, status=99),
        Fault("auth.test", Kind.SLOW, seconds=-1),
    ],
)
def test_a_fault_that_cannot_happen_is_refused(double: SlackDouble, fault: Fault) -> None:
    with pytest.raises(ValueError, match=r"auth\.test|status|seconds"):
        double.faults.add(fault)
