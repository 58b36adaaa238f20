import asyncio
import itertools
import socket
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from watchdog.doubles.slack import NotAcknowledgedError, SlackDouble
from watchdog.model.inputs import Acknowledge, Input, SetHold
from watchdog.model.time import MINUTE
from watchdog.notifiers.slack import SlackNotifier
from watchdog.notifiers.slack import socket_mode as under_test
from watchdog.ports.errors import JournalError
from watchdog.ports.notifiers import Message

New = Callable[..., Message]
Connect = Callable[..., SlackNotifier]

ANA = "U0ANA00001"
BUTTONS = (("ack", "Acknowledge", ""), ("hold", "Hold 15 min", ""), ("dance", "Dance", ""))


class Journal:
    """An inbox that keeps what it was handed; it can be slow, and it can fail."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Input]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []

    async def __call__(self, guard: str, given: Input) -> str:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((guard, given))
        return "You have it <now>."


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def listening(double: SlackDouble, slack: SlackNotifier, journal: Journal) -> SlackNotifier:
    await slack.start(journal)
    await double.wait_for(lambda d: d.connections == 1, 5)
    return slack


async def head(slack: SlackNotifier, message: New) -> str:
    receipt = await slack.send(message("Detected", header=True, buttons=BUTTONS))
    return receipt.partition("/")[2]


async def answered(double: SlackDouble, count: int = 1) -> list[str]:
    await double.wait_for(lambda d: len(d.ephemerals("incidents")) >= count, 5)
    return [said.text for said in double.ephemerals("incidents")]


async def test_a_press_is_persisted_then_acknowledged_and_answered(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ack = await double.press("incidents", await head(listening, message), "ack", ANA)

    assert ack.deliveries == 1
    assert journal.taken == [("compliance", Acknowledge("ana.souza", via="slack", incident="incident-7"))]
    assert await answered(double) == ["You have it &lt;now&gt;."]
    assert double.ephemerals("incidents")[0].only_for == ANA


async def test_a_hold_lasts_a_quarter_of_an_hour(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    await double.press("incidents", await head(listening, message), "hold", ANA)

    wanted = SetHold("ana.souza", reason="held in Slack", length=15 * MINUTE, incident="incident-7")
    assert journal.taken == [("compliance", wanted)]


async def test_an_envelope_delivered_twice_does_it_once(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ts = await head(listening, message)
    double.faults.duplicate_envelopes()
    await double.press("incidents", ts, "ack", ANA)
    await double.press("incidents", ts, "hold", ANA)

    assert len(await answered(double, 2)) == 2
    assert [type(given) for _, given in journal.taken] == [Acknowledge, SetHold]


async def test_two_people_pressing_are_two_presses(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ts = await head(listening, message)
    await asyncio.gather(*(double.press("incidents", ts, "ack", user) for user in (ANA, "U0BEN00002")))

    assert {given.who for _, given in journal.taken if isinstance(given, Acknowledge)} == {"ana.souza", "ben.okafor"}


async def test_what_is_not_persisted_in_time_is_not_acknowledged_and_done_once_in_the_end(
    double: SlackDouble,
    listening: SlackNotifier,
    journal: Journal,
    message: New,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "ANSWER_WITHIN", 0.1)
    double.hub._ack_seconds = 0.4
    ts = await head(listening, message)
    journal.open.clear()
    asyncio.get_running_loop().call_later(0.6, journal.open.set)

    ack = await double.press("incidents", ts, "ack", ANA)

    assert ack.deliveries > 1
    assert len(journal.taken) == 1
    assert len(await answered(double)) == 1


async def test_a_press_that_the_journal_refuses_is_told_and_taken_when_it_comes_again(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    journal.failures.append(JournalError("the disk is full"))
    double.hub._ack_seconds = 0.4
    ack = await double.press("incidents", await head(listening, message), "ack", ANA)

    assert ack.deliveries == 2
    assert len(journal.taken) == 1
    said = await answered(double, 2)
    assert said[0].startswith("That was not taken: the disk is full.")


async def test_an_error_of_ours_in_one_press_does_not_end_the_listening(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    journal.failures += [ZeroDivisionError()] * 4
    ts = await head(listening, message)
    double.hub._ack_seconds = 0.2
    with pytest.raises(NotAcknowledgedError):
        await double.press("incidents", ts, "ack", ANA)

    await double.press("incidents", ts, "ack", ANA)

    assert len(journal.taken) == 1


async def test_an_unknown_button_is_logged_and_acknowledged(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ts = await head(listening, message)
    with capture_logs() as logs:
        ack = await double.press("incidents", ts, "dance", ANA)

    assert ack.deliveries == 1
    assert journal.taken == []
    assert any("'dance'" in str(log.get("reason")) for log in logs)


async def test_a_press_without_guard_is_logged_and_acknowledged(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ack = await double.press("incidents", await head(listening, message), "ack", ANA, value="nonsense")

    assert ack.deliveries == 1
    assert journal.taken == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("slash_commands", {"command": "/watchdog", "text": "status"}),
        ("events_api", {"event": {"type": "app_mention"}}),
        ("interactive", {"type": "view_submission"}),
        ("interactive", {"type": "block_actions", "actions": [], "user": None}),
        ("interactive", {"actions": "x" * 100_000}),
        ("a kind of tomorrow", {}),
    ],
)
async def test_what_is_not_for_us_is_acknowledged_and_does_nothing(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, kind: str, payload: dict[str, object]
) -> None:
    ack = await double.hub.deliver(kind, payload)

    assert ack.deliveries == 1
    assert journal.taken == []


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{", "[]", "{}", '{"type": 7}', '{"envelope_id": 7}', '{"payload": []}']
)
async def test_garbage_on_the_socket_does_not_end_it(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New, text: str
) -> None:
    await double.hub._connections[0].ws.send_str(text)

    await double.press("incidents", await head(listening, message), "ack", ANA)

    assert len(journal.taken) == 1


@pytest.mark.parametrize("reason", ["refresh_requested", "warning", "too_many_websockets"])
async def test_a_request_to_reconnect_is_followed(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New, reason: str
) -> None:
    ts = await head(listening, message)
    await double.faults.disconnect_all(reason)

    await double.press("incidents", ts, "ack", ANA)

    assert len(journal.taken) == 1


async def test_a_cut_connection_is_made_again(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    ts = await head(listening, message)
    double.faults.drop_all()
    await double.wait_for(lambda d: d.connections == 0, 5)
    await double.wait_for(lambda d: d.connections == 1, 5)

    await double.press("incidents", ts, "ack", ANA)

    assert len(journal.taken) == 1


async def test_a_refused_address_is_replaced_by_a_fresh_one(
    double: SlackDouble, slack: SlackNotifier, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = itertools.chain(["stale", "stale"], iter(double.hub.new_ticket, ""))
    monkeypatch.setattr(double.hub, "new_ticket", lambda: next(tickets))
    monkeypatch.setattr(slack._socket, "_patience", 0.2)

    with capture_logs() as logs:
        await slack.start(journal)
        await double.wait_for(lambda d: d.connections == 1, 10)

    assert "stale" not in str(logs)


async def test_slack_may_be_down_when_we_start(connect: Connect, journal: Journal, message: New) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    slack = connect(f"http://127.0.0.1:{port}/api/")
    await slack.start(journal)
    assert not slack.connected
    double = await SlackDouble.start(port=port, bot_token="xoxb-right", app_token="xapp-right")
    try:
        await double.wait_for(lambda d: d.connections == 1, 10)
        await double.press("incidents", await head(slack, message), "ack", ANA)
        assert len(journal.taken) == 1
        assert slack.connected
    finally:
        await slack.close()
        await double.stop()


class Corrected:
    """A secret that somebody puts right after the first attempt, which reads it twice."""

    def __init__(self) -> None:
        self._read = 0

    def reveal(self) -> str:
        self._read += 1
        return "xapp-wrong" if self._read <= 2 else "xapp-right"


async def test_a_wrong_app_token_is_logged_with_what_to_do_and_may_be_put_right(
    double: SlackDouble, connect: Connect, journal: Journal
) -> None:
    slack = connect(double.api_url, app_token=Corrected())
    with capture_logs() as logs:
        await slack.start(journal)
        await double.wait_for(lambda d: d.connections == 1, 5)

    assert "put a valid one into app_token" in logs[0]["error"]
    assert "xapp-wrong" not in str(logs)


async def test_closing_ends_the_connection_and_everything_behind_it(
    double: SlackDouble, listening: SlackNotifier
) -> None:
    await listening.close()

    await double.wait_for(lambda d: d.connections == 0, 5)
    assert not listening.connected
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("slack")}


async def test_an_answer_that_slack_does_not_take_is_only_logged(
    double: SlackDouble, listening: SlackNotifier, journal: Journal, message: New
) -> None:
    double.faults.error("chat.postEphemeral", "user_not_in_channel")
    ts = await head(listening, message)
    await double.press("incidents", ts, "ack", ANA)
    await double.press("incidents", ts, "hold", ANA)

    assert len(await answered(double)) == 1
    assert len(journal.taken) == 2
