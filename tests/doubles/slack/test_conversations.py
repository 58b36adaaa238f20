from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import SlackDouble


async def post(client: AsyncWebClient, text: str, **more: Any) -> str:
    answer = await client.chat_postMessage(channel="incidents", text=text, **more)
    return str(answer["ts"])


def texts(answer: Any) -> list[str]:
    return [message["text"] for message in answer["messages"]]


async def test_history_is_newest_first_and_leaves_replies_out_unless_broadcast(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    parent = await post(client, "parent")
    await post(client, "quiet reply", thread_ts=parent)
    await post(client, "loud reply", thread_ts=parent, reply_broadcast=True)
    await post(client, "later")

    answer = await client.conversations_history(channel=double.workspace.channel("incidents").id)

    assert texts(answer) == ["later", "loud reply", "parent"]
    assert answer["messages"][1]["subtype"] == "thread_broadcast"
    assert (answer["messages"][2]["reply_count"], answer["messages"][2]["thread_ts"]) == (2, parent)


async def test_metadata_is_shown_only_to_those_who_ask(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id
    await post(client, "marked", metadata={"event_type": "notice", "event_payload": {"key": "7/detected"}})

    plain = await client.conversations_history(channel=channel)
    full = await client.conversations_history(channel=channel, include_all_metadata=True)

    assert "metadata" not in plain["messages"][0]
    assert full["messages"][0]["metadata"]["event_payload"] == {"key": "7/detected"}


async def test_cursors_visit_every_message_once(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id
    for number in range(7):
        await post(client, f"message {number}")

    seen: list[str] = []
    pages = 0
    async for page in await client.conversations_history(channel=channel, limit=3):
        seen += texts(page)
        pages += 1

    assert (seen, pages) == ([f"message {number}" for number in range(6, -1, -1)], 3)


async def test_a_cursor_stays_where_it_is_when_messages_are_added(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id
    for number in range(4):
        await post(client, f"message {number}")
    first = await client.conversations_history(channel=channel, limit=2)
    await post(client, "message 4")

    second = await client.conversations_history(
        channel=channel, limit=2, cursor=first["response_metadata"]["next_cursor"]
    )

    assert (texts(first), texts(second)) == (["message 3", "message 2"], ["message 1", "message 0"])
    assert not second["has_more"]


@pytest.mark.parametrize(
    ("inclusive", "expected"), [(False, ["message 2"]), (True, ["message 3", "message 2", "message 1"])]
)
async def test_bounds_are_exclusive_unless_asked_otherwise(
    double: SlackDouble, client: AsyncWebClient, *, inclusive: bool, expected: list[str]
) -> None:
    stamps = [await post(client, f"message {number}") for number in range(5)]

    answer = await client.conversations_history(
        channel=double.workspace.channel("incidents").id, oldest=stamps[1], latest=stamps[3], inclusive=inclusive
    )

    assert texts(answer) == expected


async def test_a_thread_is_read_oldest_first_with_its_parent_leading_every_page(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    channel = double.workspace.channel("incidents").id
    parent = await post(client, "parent")
    for number in range(5):
        await post(client, f"reply {number}", thread_ts=parent)

    first = await client.conversations_replies(channel=channel, ts=parent, limit=3)
    second = await client.conversations_replies(
        channel=channel, ts=parent, limit=3, cursor=first["response_metadata"]["next_cursor"]
    )

    assert texts(first) == ["parent", "reply 0", "reply 1", "reply 2"]
    assert texts(second) == ["parent", "reply 3", "reply 4"]
    assert (first["has_more"], second["has_more"]) == (True, False)
    with pytest.raises(SlackApiError, match="thread_not_found"):
        await client.conversations_replies(channel=channel, ts="1.000000")


async def test_timestamps_rise_even_when_the_clock_stands_still() -> None:
    double = await SlackDouble.start(bot_token="xoxb-1", app_token="xapp-1", clock=lambda: 1_700_000_000_000_000_000)
    try:
        stamps = [double.say("incidents", "Ana Souza", "again").ts for _ in range(3)]
    finally:
        await double.stop()

    assert stamps == ["1700000000.000000", "1700000000.000001", "1700000000.000002"]


async def test_channels_are_listed_in_pages_and_described(double: SlackDouble, client: AsyncWebClient) -> None:
    double.archive("stakeholders")
    names: list[str] = []
    async for page in await client.conversations_list(limit=1):
        names += [channel["name"] for channel in page["channels"]]
    open_ones = await client.conversations_list(exclude_archived=True)
    info = await client.conversations_info(channel=double.workspace.channel("stakeholders").id)

    assert names == ["incidents", "stakeholders"]
    assert [channel["name"] for channel in open_ones["channels"]] == ["incidents"]
    assert (info["channel"]["is_archived"], info["channel"]["is_member"]) == (True, True)


async def test_people_and_groups_are_found_or_refused_by_slacks_names(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    user = await client.users_info(user="U0ANA00001")
    group = await client.usergroups_users_list(usergroup="S0RESPOND1")
    del double.workspace.usergroups["S0RESPOND1"]

    assert (user["user"]["real_name"], group["users"]) == ("Ana Souza", ["U0ANA00001"])
    with pytest.raises(SlackApiError, match="user_not_found"):
        await client.users_info(user="U0NOBODY")
    with pytest.raises(SlackApiError, match="no_such_subteam"):
        await client.usergroups_users_list(usergroup="S0RESPOND1")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": "0"}, "invalid_limit"),
        ({"limit": "9" * 5000}, "invalid_limit"),
        ({"cursor": "not base64!"}, "invalid_cursor"),
        ({"oldest": "yesterday"}, "invalid_ts_oldest"),
        ({"latest": "1.5"}, "invalid_ts_latest"),
    ],
)
async def test_malformed_bounds_are_refused(
    double: SlackDouble, client: AsyncWebClient, arguments: dict[str, str], error: str
) -> None:
    channel = double.workspace.channel("incidents").id

    with pytest.raises(SlackApiError) as refusal:
        await client.api_call("conversations.history", http_verb="GET", params={"channel": channel, **arguments})

    assert refusal.value.response["error"] == error
