import json

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, HeaderBlock, SectionBlock
from slack_sdk.models.metadata import Metadata
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.doubles.slack import SlackDouble
from watchdog.doubles.slack.state import BOT_USER


async def test_a_posted_message_is_answered_and_kept_as_slack_would(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    blocks = [
        HeaderBlock(text="Incident 7"),
        SectionBlock(text="*errors* at 12 %"),
        ActionsBlock(elements=[ButtonElement(text="Acknowledge", action_id="ack", value="7")]),
    ]
    metadata = Metadata("incident", {"id": "7"})

    answer = await client.chat_postMessage(channel="#incidents", text="Incident 7", blocks=blocks, metadata=metadata)

    (kept,) = double.messages("incidents")
    assert (kept.ts, kept.text, kept.user) == (answer["ts"], "Incident 7", BOT_USER)
    assert kept.metadata == {"event_type": "incident", "event_payload": {"id": "7"}}
    assert answer["channel"] == double.workspace.channel("incidents").id
    parsed = Block.parse_all(answer["message"]["blocks"])
    assert [type(block) for block in parsed] == [HeaderBlock, SectionBlock, ActionsBlock]
    assert all(block.block_id for block in parsed)
    for block in parsed:
        block.validate_json()
    assert Metadata(**answer["message"]["metadata"]) == metadata


async def test_a_form_encoded_call_means_the_same_as_json(double: SlackDouble, client: AsyncWebClient) -> None:
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": "Incident 7"}}]
    form = {"channel": "incidents", "text": "as a form", "blocks": json.dumps(blocks), "reply_broadcast": "1"}

    await client.api_call("chat.postMessage", data=form)

    (kept,) = double.messages("incidents")
    assert (kept.text, kept.blocks[0]["type"], kept.broadcast) == ("as a form", "header", False)


async def test_replies_go_into_the_thread_also_when_a_reply_is_named_as_parent(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    parent = await client.chat_postMessage(channel="incidents", text="parent")
    first = await client.chat_postMessage(channel="incidents", text="one", thread_ts=parent["ts"])
    second = await client.chat_postMessage(channel="incidents", text="two", thread_ts=first["ts"])

    assert first["message"]["thread_ts"] == second["message"]["thread_ts"] == parent["ts"]
    assert [message.thread_ts for message in double.messages("incidents")] == [None, parent["ts"], parent["ts"]]


async def test_a_reply_to_a_parent_that_is_gone_is_posted_top_level(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    parent = await client.chat_postMessage(channel="incidents", text="parent")
    double.delete("incidents", parent["ts"])

    reply = await client.chat_postMessage(channel="incidents", text="where am I", thread_ts=parent["ts"])

    assert "thread_ts" not in reply["message"]
    assert [(message.text, message.deleted) for message in double.messages("incidents")] == [
        ("parent", True),
        ("where am I", False),
    ]


async def test_an_update_changes_only_what_it_names(double: SlackDouble, client: AsyncWebClient) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "open"}}]
    metadata = {"event_type": "incident", "event_payload": {"id": "7"}}
    posted = await client.chat_postMessage(channel="incidents", text="open", blocks=blocks, metadata=metadata)

    answer = await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="resolved")

    (kept,) = double.messages("incidents")
    assert (kept.text, kept.blocks[0]["text"]["text"], kept.metadata) == ("resolved", "open", metadata)
    assert answer["message"]["edited"]["ts"] == kept.edited
    assert kept.edited is not None
    assert kept.edited > kept.ts

    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="resolved", blocks=[], metadata={})
    (kept,) = double.messages("incidents")
    assert (kept.blocks, kept.metadata) == ((), None)


async def test_an_ephemeral_message_is_in_no_history(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id

    await client.chat_postEphemeral(channel=channel, user="U0ANA00001", text="you may not")

    assert [(m.text, m.only_for) for m in double.ephemerals("incidents")] == [("you may not", "U0ANA00001")]
    history = await client.conversations_history(channel=channel)
    assert history["messages"] == []


async def test_a_permalink_leads_to_the_message_on_the_page(double: SlackDouble, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="incidents", text="here")

    link = await client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])

    assert link["permalink"].startswith(double.page_url)
    assert link["permalink"].endswith("#m" + posted["ts"].replace(".", ""))


async def test_reacting_twice_with_the_same_is_refused(double: SlackDouble, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="incidents", text="here")
    await client.reactions_add(channel=posted["channel"], name="eyes", timestamp=posted["ts"])

    with pytest.raises(SlackApiError, match="already_reacted"):
        await client.reactions_add(channel=posted["channel"], name="eyes", timestamp=posted["ts"])

    history = await client.conversations_history(channel=posted["channel"])
    assert history["messages"][0]["reactions"] == [{"name": "eyes", "users": [BOT_USER], "count": 1}]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "incidents"}, "no_text"),
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": "incidents", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "incidents", "text": "x", "blocks": "{not json"}, "invalid_blocks_format"),
        ({"channel": "incidents", "text": "x", "blocks": [{"type": "banner"}]}, "invalid_blocks"),
        ({"channel": "incidents", "text": "x", "metadata": {"event_type": "only"}}, "invalid_metadata_format"),
        (
            {
                "channel": "incidents",
                "text": "x",
                "metadata": {"event_type": "t", "event_payload": {"v": "x" * 17_000}},
            },
            "metadata_too_large",
        ),
    ],
)
async def test_a_message_that_slack_refuses_is_refused_and_not_kept(
    double: SlackDouble, client: AsyncWebClient, arguments: dict[str, object], error: str
) -> None:
    with pytest.raises(SlackApiError) as refusal:
        await client.api_call("chat.postMessage", json=arguments)

    assert refusal.value.response["error"] == error
    assert double.messages("incidents") == []


async def test_only_own_existing_messages_can_be_updated(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id
    theirs = double.say("incidents", "Ana Souza", "I am looking")

    with pytest.raises(SlackApiError, match="cant_update_message"):
        await client.chat_update(channel=channel, ts=theirs.ts, text="no")
    with pytest.raises(SlackApiError, match="message_not_found"):
        await client.chat_update(channel=channel, ts="1.000000", text="no")
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await client.chat_update(channel="incidents", ts=theirs.ts, text="names are for posting only")
    with pytest.raises(SlackApiError, match="msg_too_long"):
        await client.chat_update(channel=channel, ts=theirs.ts, text="x" * 4_001)


async def test_archived_and_left_channels_take_no_message(double: SlackDouble, client: AsyncWebClient) -> None:
    channel = double.workspace.channel("incidents").id
    double.archive("incidents")
    double.workspace.channel("stakeholders").members.discard(BOT_USER)

    with pytest.raises(SlackApiError, match="is_archived"):
        await client.chat_postMessage(channel="incidents", text="x")
    with pytest.raises(SlackApiError, match="not_in_channel"):
        await client.chat_postMessage(channel="stakeholders", text="x")

    double.archive("incidents", archived=False)
    await client.conversations_join(channel=double.workspace.channel("stakeholders").id)
    await client.chat_postMessage(channel=channel, text="again")
    await client.chat_postMessage(channel="stakeholders", text="again")


async def test_a_modal_opens_once_for_a_fresh_trigger(double: SlackDouble, client: AsyncWebClient) -> None:
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Hold"},
        "blocks": [
            {
                "type": "input",
                "label": {"type": "plain_text", "text": "Why"},
                "element": {"type": "plain_text_input", "action_id": "why"},
            }
        ],
    }
    payload = double.interactions.slash_command(
        double.workspace.channel("incidents"), "U0ANA00001", "/watchdog", "hold"
    )

    opened = await client.views_open(trigger_id=payload["trigger_id"], view=view)

    assert opened["view"]["id"].startswith("V")
    assert [shown["opened_for"] for shown in double.views()] == ["U0ANA00001"]
    with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
        await client.views_open(trigger_id=payload["trigger_id"], view=view)
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):
        await client.views_open(trigger_id="1.2.3", view=view)


async def test_elements_without_ids_get_them_and_nulls_mean_nothing(
    double: SlackDouble, client: AsyncWebClient
) -> None:
    unnamed = {"type": "button", "text": {"type": "plain_text", "text": "Hold"}}
    blocks = [
        {"type": "actions", "block_id": None, "elements": [unnamed, unnamed]},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": unnamed, "fields": []},
    ]

    await client.api_call("chat.postMessage", json={"channel": "incidents", "text": "x", "blocks": blocks})

    actions, section = double.messages("incidents")[0].blocks
    ids = [element["action_id"] for element in (*actions["elements"], section["accessory"])]
    assert len({*ids, actions["block_id"], section["block_id"]}) == 5


async def test_an_own_message_can_be_deleted(double: SlackDouble, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="incidents", text="oops")
    theirs = double.say("incidents", "Ana Souza", "mine")

    await client.chat_delete(channel=posted["channel"], ts=posted["ts"])
    with pytest.raises(SlackApiError, match="cant_delete_message"):
        await client.chat_delete(channel=posted["channel"], ts=theirs.ts)

    assert [message.deleted for message in double.messages("incidents")] == [True, False]
