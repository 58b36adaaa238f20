import asyncio
import signal
import sys

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import NotThereError, SlackDouble


async def test_waiting_ends_with_the_change_that_was_waited_for(double: SlackDouble, client: AsyncWebClient) -> None:
    waiting = asyncio.create_task(
        double.wait_for(lambda d: next((m.ts for m in d.messages("incidents") if m.text == "second"), None), 5)
    )
    await client.chat_postMessage(channel="incidents", text="first")
    second = await client.chat_postMessage(channel="incidents", text="second")

    assert await waiting == second["ts"]


async def test_waiting_in_vain_says_what_there_was_instead(double: SlackDouble) -> None:
    double.say("incidents", "Ana Souza", "something else")

    with pytest.raises(TimeoutError, match="something else"):
        await double.wait_for(lambda d: d.connections > 0, 0.05)


async def test_an_unknown_channel_is_answered_with_those_there_are(double: SlackDouble) -> None:
    with pytest.raises(NotThereError, match="#incidents, #stakeholders"):
        double.messages("general")


async def test_a_taken_port_is_named(double: SlackDouble) -> None:
    port = int(double.page_url.rsplit(":", 1)[1].strip("/"))

    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        await SlackDouble.start(port=port, bot_token="xoxb-1", app_token="xapp-1")


async def test_stopping_frees_the_port_and_stopping_again_is_harmless() -> None:
    double = await SlackDouble.start(bot_token="xoxb-1", app_token="xapp-1")
    port = int(double.page_url.rsplit(":", 1)[1].strip("/"))
    await double.stop()
    await double.stop()

    again = await SlackDouble.start(port=port, bot_token="xoxb-1", app_token="xapp-1")
    await again.stop()


async def test_faults_presses_and_state_are_reached_over_http(double: SlackDouble, client: AsyncWebClient) -> None:
    async with aiohttp.ClientSession(double.page_url) as session:

        async def control(name: str, **body: object) -> tuple[int, dict[str, object]]:
            async with session.post(f"/double/{name}", json=body) as answer:
                return answer.status, await answer.json()

        assert await control("faults", method="chat.postMessage", kind="status", status=502, times=2) == (
            200,
            {"ok": True, "pending": 1},
        )
        status, said = await control("say", channel="incidents", user="Ana Souza", text="hello")
        assert (status, said["ts"]) == (200, double.messages("incidents")[0].ts)
        status, problem = await control("press", channel="incidents", ts=said["ts"], action_id="ack", user="Ana Souza")
        assert (status, "no button 'ack'" in str(problem["error"])) == (404, True)
        assert (await control("faults", method="x", kind="earthquake"))[0] == 400
        assert (await control("press"))[0] == 400
        assert await control("disconnect") == (200, {"ok": True, "sockets": 0})
        assert (await control("archive", channel="stakeholders"))[0] == 200
        async with session.get("/double/state") as answer:
            state = await answer.json()

    assert [channel["archived"] for channel in state["channels"]] == [False, True]
    assert state["channels"][0]["messages"][0]["text"] == "hello"
    assert [fault["times"] for fault in state["faults"]] == [2]


async def test_a_double_in_its_own_process_ends_cleanly_on_sigterm() -> None:
    program = (
        "import asyncio\n"
        "from watchdog.doubles.slack import serve\n"
        "asyncio.run(serve(port=0, bot_token='xoxb-1', app_token='xapp-1',"
        " ready=lambda double: print(double.api_url, flush=True)))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            address = (await process.stdout.readline()).decode().strip()
            client = AsyncWebClient("xoxb-1", base_url=address, retry_handlers=[])
            client.proxy = None
            assert (await client.auth_test())["ok"]
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (process.returncode, errors) == (0, b"")
