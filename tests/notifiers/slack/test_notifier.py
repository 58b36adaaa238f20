import asyncio
from collections.abc import Callable

import pytest

from tests.notifiers.slack.conftest import FastClock
from watchdog.doubles.slack import Message as Posted
from watchdog.doubles.slack import SlackDouble
from watchdog.doubles.slack.state import BOT_USER
from watchdog.model.communication import Audience
from watchdog.model.time import SECOND, Span
from watchdog.notifiers.slack import SlackNotifier
from watchdog.ports.errors import NotifyError, WatchdogError
from watchdog.ports.notifiers import Message

New = Callable[..., Message]
Connect = Callable[..., SlackNotifier]


def standing(double: SlackDouble, channel: str = "incidents") -> list[Posted]:
    return [message for message in double.messages(channel) if not message.deleted]


async def send_or_find(slack: SlackNotifier, message: Message) -> str:
    """What the runtime does: in doubt it reads before it sends again."""
    try:
        return await slack.send(message)
    except NotifyError as error:
        if not error.uncertain:
            raise
        found = await slack.find(message)
        return found or await slack.send(message)


async def test_a_head_stands_in_the_channel_and_the_rest_under_it(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    await slack.send(message("Error rate 34 %", header=True, buttons=(("ack", "Acknowledge", ""),)))
    await slack.send(message("Rung flag: search_v2 off"))
    await slack.send(message("Recovered"))

    head, first, second = standing(double)
    assert head.thread_ts is None
    assert (first.thread_ts, second.thread_ts) == (head.ts, head.ts)
    assert head.metadata is not None
    assert head.metadata["event_type"] == "watchdog_notice"
    assert head.metadata["event_payload"]["key"] == "notice-1"
    assert head.metadata["event_payload"]["incident"] == "incident-7"
    assert head.metadata["event_payload"]["guard"] == "compliance"
    (button,) = next(block for block in head.blocks if block["type"] == "actions")["elements"]
    assert (button["action_id"], button["value"]) == ("ack", "compliance|incident-7")


async def test_a_header_rewrites_the_head_in_place(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    first = await slack.send(message("Detected", header=True))
    second = await slack.send(message("Recovered", header=True))

    (head,) = standing(double)
    assert first == second
    assert head.text == "Recovered"
    assert head.edited is not None


async def test_after_a_restart_the_thread_is_found_again(double: SlackDouble, connect: Connect, message: New) -> None:
    await connect(double.api_url).send(message("Detected", header=True))

    restarted = connect(double.api_url)
    await restarted.send(message("Rung code"))
    await restarted.send(message("Recovered", header=True))

    head, reply = standing(double)
    assert reply.thread_ts == head.ts
    assert head.text == "Recovered"


async def test_two_incidents_have_two_threads(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    await slack.send(message("First", header=True, thread="a"))
    await slack.send(message("Second", header=True, thread="b"))
    await slack.send(message("About the second", thread="b"))

    _, second, reply = standing(double)
    assert reply.thread_ts == second.ts


async def test_a_deleted_head_is_posted_again_before_the_reply(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    receipt = await slack.send(message("Detected", header=True))
    double.delete("incidents", receipt.partition("/")[2])

    await slack.send(message("Rung data"))

    head, reply = standing(double)
    assert (head.text, head.thread_ts) == ("Detected", None)
    assert reply.thread_ts == head.ts


async def test_a_head_deleted_before_its_rewriting_is_posted_anew(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    receipt = await slack.send(message("Detected", header=True))
    double.delete("incidents", receipt.partition("/")[2])

    assert await slack.send(message("Recovered", header=True)) != receipt

    (head,) = standing(double)
    assert head.text == "Recovered"


async def test_a_head_deleted_while_nobody_ran_is_replaced(double: SlackDouble, connect: Connect, message: New) -> None:
    receipt = await connect(double.api_url).send(message("Detected", header=True))
    double.delete("incidents", receipt.partition("/")[2])

    await connect(double.api_url).send(message("Rung data"))

    head, reply = standing(double)
    assert head.text == "Incident incident-7 on compliance"
    assert reply.thread_ts == head.ts


async def test_other_audiences_get_one_message_of_their_own(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    await slack.send(message("For you", audience=Audience.STAKEHOLDERS, channel="#stakeholders"))

    (alone,) = standing(double, "stakeholders")
    assert (alone.text, alone.thread_ts) == ("For you", None)


async def test_a_channel_may_be_configured_by_its_id(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    channel = double.workspace.channel("incidents").id

    receipt = await slack.send(message("Detected", header=True, channel=channel))

    assert receipt == f"{channel}/{standing(double)[0].ts}"


@pytest.mark.parametrize("header", [True, False])
async def test_an_answer_lost_after_commit_is_found_and_not_said_twice(
    double: SlackDouble, slack: SlackNotifier, message: New, *, header: bool
) -> None:
    if not header:
        await slack.send(message("Detected", header=True))
    double.faults.reset_after_commit("chat.postMessage")

    receipt = await send_or_find(slack, message("Once", header=header))

    (once,) = [posted for posted in standing(double) if posted.text == "Once"]
    assert receipt.endswith(f"/{once.ts}")
    await slack.send(message("After that"))
    assert standing(double)[-1].thread_ts == standing(double)[0].ts


async def test_an_answer_that_comes_too_late_is_found(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    double.faults.slow("chat.postMessage", 30)

    await send_or_find(slack, message("Once", thread=""))

    assert len(standing(double)) == 1


async def test_what_was_lost_before_it_was_said_is_said_once(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    double.faults.reset_before("chat.postMessage")
    double.faults.status("chat.postMessage", 502)
    notice = message("Once", header=True)

    with pytest.raises(NotifyError) as first:
        await slack.send(notice)
    assert first.value.uncertain
    assert await slack.find(notice) is None
    await send_or_find(slack, notice)

    assert len(standing(double)) == 1


async def test_a_rewriting_whose_answer_is_lost_is_simply_made_again(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    await slack.send(message("Detected", header=True))
    double.faults.reset_after_commit("chat.update")
    double.faults.html("chat.update", status=200)

    await slack.send(message("Recovered", header=True))

    assert [posted.text for posted in standing(double)] == ["Recovered"]


async def test_every_header_is_found_after_the_next_has_replaced_it(
    double: SlackDouble, connect: Connect, message: New
) -> None:
    slack = connect(double.api_url)
    headers = [message(text, header=True) for text in ("Detected", "Rolled back", "Recovered")]
    receipts = {await slack.send(header) for header in headers}

    restarted = connect(double.api_url)
    assert {await restarted.find(header) for header in headers} == receipts
    assert await restarted.find(message("Never sent", header=True)) is None
    assert await restarted.find(message("Never sent")) is None


async def test_a_message_is_found_among_many_pages(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    notice = message("Here", thread="")
    receipt = await slack.send(notice)
    for number in range(2500):
        double.say("incidents", "U0ANA00001", f"chatter {number}")

    assert await slack.find(notice) == receipt


async def test_the_wait_that_slack_asks_for_is_kept(
    double: SlackDouble, slack: SlackNotifier, message: New, sleeps: list[Span]
) -> None:
    double.faults.rate_limited("chat.postMessage", retry_after=7)

    await slack.send(message("Detected", header=True))

    assert len(standing(double)) == 1
    assert any(6.9 * SECOND < length <= 7 * SECOND for length in sleeps)


async def test_a_wait_too_long_to_sit_out_is_handed_on(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    double.faults.rate_limited("chat.postMessage", retry_after=120)

    with pytest.raises(NotifyError) as raised:
        await slack.send(message("Detected", header=True))

    assert (raised.value.retry_after, raised.value.recoverable, raised.value.uncertain) == (120.0, True, False)


async def test_replies_of_one_channel_are_a_second_apart(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    clock = FastClock([])
    began = clock.now()
    await slack.send(message("Detected", header=True))
    await asyncio.gather(*(slack.send(message(f"Step {number}")) for number in range(3)))

    assert len(standing(double)) == 4
    assert clock.now() - began >= 3 * SECOND


async def test_replies_sent_together_have_one_head(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    await asyncio.gather(*(slack.send(message(f"Step {number}")) for number in range(3)))

    heads = [posted for posted in standing(double) if posted.thread_ts is None]
    assert [head.text for head in heads] == ["Incident incident-7 on compliance"]


@pytest.mark.parametrize(
    ("code", "what_to_do"),
    [
        ("invalid_auth", "put a valid one into bot_token"),
        ("token_revoked", "put a valid one into bot_token"),
        ("not_allowed_token_type", "bot_token begins with xoxb-"),
        ("restricted_action", "ask an admin"),
        ("channel_not_found", "correct `to` of the channel in config.yaml"),
        ("not_in_channel", "the app is not in #incidents; invite the app with /invite"),
        ("is_archived", "#incidents is archived; unarchive it"),
        ("msg_too_long", "msg_too_long"),
    ],
)
async def test_what_only_a_person_can_change_is_said_with_what_to_do(
    double: SlackDouble, slack: SlackNotifier, message: New, code: str, what_to_do: str
) -> None:
    double.faults.error("chat.postMessage", code)

    with pytest.raises(NotifyError) as raised:
        await slack.send(message("Detected", header=True))

    assert not raised.value.recoverable
    assert not raised.value.uncertain
    assert what_to_do in str(raised.value)
    assert "xoxb-right" not in str(raised.value)
    assert standing(double) == []


class WrongToken:
    def reveal(self) -> str:
        return "xoxb-wrong"


async def test_a_wrong_token_is_named_but_not_shown(double: SlackDouble, connect: Connect, message: New) -> None:
    with pytest.raises(NotifyError, match="bot_token") as raised:
        await connect(double.api_url, bot_token=WrongToken()).send(message("Detected", header=True))

    assert not raised.value.recoverable
    assert "xoxb-wrong" not in repr(raised.value)


async def test_a_missing_scope_is_named(double: SlackDouble, slack: SlackNotifier, message: New) -> None:
    double.scopes.discard("chat:write")

    with pytest.raises(NotifyError, match="bot_token lacks the scope chat:write") as raised:
        await slack.send(message("Detected", thread=""))

    assert not raised.value.recoverable


async def test_a_channel_that_does_not_exist_is_named(slack: SlackNotifier, message: New) -> None:
    with pytest.raises(NotifyError, match="there is no channel #nowhere that the app can see") as raised:
        await slack.send(message("Detected", header=True, channel="nowhere"))

    assert not raised.value.recoverable


async def test_a_channel_that_the_app_was_taken_out_of_says_how_to_invite_it(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    double.workspace.channel("incidents").members.discard(BOT_USER)

    with pytest.raises(NotifyError, match="/invite"):
        await slack.send(message("Detected", header=True))


async def test_an_unreachable_slack_is_certain_not_to_have_heard(connect: Connect, message: New) -> None:
    with pytest.raises(NotifyError, match=r"no connection to 127\.0\.0\.1:9") as raised:
        await connect("http://127.0.0.1:9/api/").send(message("Detected", channel="C0000000000", thread=""))

    assert (raised.value.recoverable, raised.value.uncertain) == (True, False)


async def test_a_proxy_of_the_environment_is_not_used_for_an_address_of_our_own(
    double: SlackDouble, connect: Connect, message: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    await connect(double.api_url).send(message("Detected", header=True))

    assert len(standing(double)) == 1


async def test_what_stands_between_is_named_when_the_answer_is_not_slacks(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    double.faults.html("chat.postMessage", status=404, times=3)

    with pytest.raises(NotifyError, match="HTTP 404 without Slack's JSON; check api_url") as raised:
        await slack.send(message("Detected", thread=""))

    assert (raised.value.recoverable, raised.value.uncertain) == (True, False)


async def test_an_error_inside_slack_leaves_it_uncertain(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    double.faults.error("chat.postMessage", "fatal_error")

    with pytest.raises(NotifyError) as raised:
        await slack.send(message("Detected", thread=""))

    assert raised.value.uncertain


async def test_an_address_that_is_none_is_refused(connect: Connect, message: New) -> None:
    with pytest.raises(NotifyError, match="api_url is no address") as raised:
        await connect("nonsense").send(message("Detected", channel="C0000000000", thread=""))

    assert not raised.value.recoverable


async def test_a_secret_that_cannot_be_read_is_a_notice_not_said(
    double: SlackDouble, connect: Connect, message: New
) -> None:
    class Unset:
        def reveal(self) -> str:
            raise WatchdogError("the variable SLACK_BOT_TOKEN is not set")

    with pytest.raises(NotifyError, match="SLACK_BOT_TOKEN is not set") as raised:
        await connect(double.api_url, bot_token=Unset()).send(message("Detected"))

    assert not raised.value.uncertain


async def test_a_header_that_cannot_be_rewritten_says_why(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    await slack.send(message("Detected", header=True))
    double.faults.error("chat.update", "is_archived")

    with pytest.raises(NotifyError, match="unarchive it"):
        await slack.send(message("Recovered", header=True))


async def test_a_notice_of_another_audience_is_found_too(
    double: SlackDouble, slack: SlackNotifier, message: New
) -> None:
    double.faults.reset_after_commit("chat.postMessage")

    await send_or_find(slack, message("For you", audience=Audience.STAKEHOLDERS, channel="stakeholders"))

    assert len(standing(double, "stakeholders")) == 1
