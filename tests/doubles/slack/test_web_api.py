from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import SlackDouble
from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.errors import SlackError
from watchdog.doubles.slack.interactions import Interactions
from watchdog.doubles.slack.state import Workspace
from watchdog.doubles.slack.web_api import ALL_BOT_SCOPES, METHODS, WebApi


async def test_the_right_token_is_told_who_it_is(client: AsyncWebClient) -> None:
    answer = await client.auth_test()

    assert (answer["user"], answer["bot_id"][0], answer["team_id"][0]) == ("watchdog", "B", "T")
    assert set(answer.headers["X-OAuth-Scopes"].split(",")) == ALL_BOT_SCOPES


@pytest.mark.parametrize(
    ("token", "error"), [(None, "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-right", "not_allowed_token_type")]
)
async def test_other_tokens_are_refused(
    double: SlackDouble, client: AsyncWebClient, token: str | None, error: str
) -> None:
    client.token = token

    with pytest.raises(SlackApiError) as refusal:
        await client.chat_postMessage(channel="incidents", text="x")

    assert refusal.value.response["error"] == error
    assert "xoxb" not in str(refusal.value)
    assert double.messages("incidents") == []


async def test_socket_mode_wants_the_app_token(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        await client.apps_connections_open(app_token="xoxb-right")

    answer = await client.apps_connections_open(app_token="xapp-right")
    assert answer["url"].startswith("ws://127.0.0.1:")


async def test_a_missing_scope_is_named_with_those_that_are_there(double: SlackDouble, client: AsyncWebClient) -> None:
    double.scopes.clear()
    double.scopes.update({"users:read", "channels:read"})

    with pytest.raises(SlackApiError) as refusal:
        await client.chat_postMessage(channel="incidents", text="x")

    data = refusal.value.response.data
    assert (data["error"], data["needed"], data["provided"]) == (
        "missing_scope",
        "chat:write",
        "channels:read,users:read",
    )


async def test_api_test_needs_no_token_and_fails_on_request(client: AsyncWebClient) -> None:
    client.token = None
    assert (await client.api_test())["ok"]
    with pytest.raises(SlackApiError, match="my_error"):
        await client.api_test(error="my_error")


async def test_unknown_methods_and_broken_bodies_have_slacks_errors(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError, match="unknown_method"):
        await client.api_call("chat.shout", json={})
    with pytest.raises(SlackApiError, match="invalid_json"):
        await client.api_call("auth.test", data="{", headers={"Content-Type": "application/json"})  # type: ignore[arg-type]  # broken on purpose


async def test_posting_faster_than_slack_allows_is_refused_until_time_has_passed() -> None:
    now = [1_700_000_000_000_000_000]
    double = await SlackDouble.start(
        bot_token="xoxb-1", app_token="xapp-1", channels=("a", "b"), rate_limit=True, clock=lambda: now[0]
    )
    client = AsyncWebClient("xoxb-1", base_url=double.api_url, retry_handlers=[])
    client.proxy = None
    try:
        for _ in range(3):
            await client.chat_postMessage(channel="a", text="burst")
        with pytest.raises(SlackApiError) as refusal:
            await client.chat_postMessage(channel="a", text="too much")
        await client.chat_postMessage(channel="b", text="another channel")
        now[0] += 1_000_000_000
        await client.chat_postMessage(channel="a", text="a second later")
    finally:
        await double.stop()

    assert (refusal.value.response.status_code, refusal.value.response["error"]) == (429, "ratelimited")
    assert refusal.value.response.headers["Retry-After"] == "1"
    assert [message.text for message in double.messages("a")] == ["burst"] * 3 + ["a second later"]


async def test_a_file_is_uploaded_shared_and_served(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id

    answer = await client.files_upload_v2(
        channel=channel, filename="evidence.png", content=b"\x89PNG evidence", title="Errors", initial_comment="see"
    )

    (message,) = double.messages("incidents")
    assert (message.text, message.files) == ("see", (answer["file"]["id"],))
    assert double.workspace.files[message.files[0]].content == b"\x89PNG evidence"
    history = await client.conversations_history(channel=channel)
    assert history["messages"][0]["files"][0]["mimetype"] == "image/png"


odd_texts = st.sampled_from(
    [
        "",
        "x",
        "1",
        "9" * 5000,
        "-1",
        "1.000000",
        "\u0661",
        "\ud800",
        "[]",
        "{}",
        "[" * 2000,
        "null",
        "section",
        "type",
        "id",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["channel", "text", "blocks", "metadata", "ts", "thread_ts", "user", "limit", "cursor", "oldest", "files", "view"]
)


def outcome(api: WebApi, method: str, arguments: dict[str, Any]) -> str:
    try:
        return str(api.call(method, "one", Args(arguments))["ok"])
    except SlackError as problem:
        return problem.code


# A busy machine draws slowly; that says nothing about the methods.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(sorted(METHODS)), given_arguments=st.dictionaries(names, values, max_size=4))
def test_any_arguments_get_an_answer_of_slack_and_never_a_crash(method: str, given_arguments: dict[str, Any]) -> None:
    workspace = Workspace(
        channels=["incidents"], users={}, usergroups={}, clock=lambda: 1_700_000_000_000_000_000, changed=lambda: None
    )
    context = Context(
        workspace=workspace,
        rate=None,
        triggers=Interactions(workspace, new_response_url=str),
        page_url="http://page/",
        new_socket_url=lambda: "ws://socket",
    )
    api = WebApi(context, bot_token="one", app_token="one", scopes=set(ALL_BOT_SCOPES))
    arguments = {"channel": workspace.channel("incidents").id, **given_arguments}

    assert outcome(api, method, arguments)
