from structlog.testing import capture_logs

from watchdog.model.communication import Audience
from watchdog.model.time import Span, Time
from watchdog.notifiers.log import KIND, LogNotifier, LogOptions
from watchdog.ports.notifiers import Message, Notifier

MESSAGE = Message(
    "key-1", "compliance", "incident-7", Audience.RESPONDERS, "incidents", "Detected", 0, fields=(("Rung", "flag"),)
)


class StillClock:
    def now(self) -> Time:
        return 0

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        raise AssertionError(length)


async def test_a_notice_is_a_line_in_the_log_and_found_by_whoever_wrote_it() -> None:
    notifier: Notifier = KIND.build(LogOptions(), StillClock())
    assert await notifier.find(MESSAGE) is None

    with capture_logs() as logs:
        receipt = await notifier.send(MESSAGE)

    assert (logs[0]["event"], logs[0]["text"], logs[0]["fields"]) == ("notice", "Detected", {"Rung": "flag"})
    assert await notifier.find(MESSAGE) == receipt
    assert await LogNotifier(LogOptions(), StillClock()).find(MESSAGE) is None
