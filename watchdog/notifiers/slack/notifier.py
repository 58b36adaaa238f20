"""Says notices in Slack and listens for the buttons pressed under them."""

from typing import Final

from watchdog.model.communication import Audience
from watchdog.model.time import MINUTE
from watchdog.notifiers.slack.client import Channel, SlackClient
from watchdog.notifiers.slack.options import SlackOptions
from watchdog.notifiers.slack.pacer import Pacer
from watchdog.notifiers.slack.socket_mode import SocketMode
from watchdog.notifiers.slack.threads import Threads, as_post, keys_of
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import NotifierKind
from watchdog.ports.notifiers import Inbox, Message

SKEW: Final = 10 * MINUTE
"""How much earlier than due a message is looked for: clocks differ."""

FIRST_ALARM, NEWS, CHATTER = 0, 1, 2


class SlackNotifier:
    """One workspace.

    A message with `header` is the head of its thread: posted once, rewritten after that. Every other message of the
    thread is a reply under it, except for audiences other than the responders in a channel where no head stands: they
    get a message of their own. `Message.channel` is a channel's name (`incidents`) or id.
    """

    def __init__(self, options: SlackOptions, clock: Clock) -> None:
        self._client = SlackClient(options, clock, Pacer(clock))
        self._threads = Threads(self._client)
        self._socket = SocketMode(self._client, clock)

    @property
    def connected(self) -> bool:
        """Whether buttons reach us now."""
        return self._socket.connected

    async def start(self, inbox: Inbox) -> None:
        """Begins to listen for buttons, and tries for ever; returns at once, whether Slack answers or not."""
        self._socket.start(inbox)

    async def close(self) -> None:
        """Stops listening."""
        await self._socket.close()

    async def send(self, message: Message) -> str:
        """Says it; the receipt is `channel id/ts`.

        Raises:
            NotifyError: `uncertain` means that it may stand there: ask `find` before sending it again.
        """
        channel = await self._client.channel(message.channel)
        if message.header and message.thread:
            ts = await self._threads.write_head(channel, message)
        elif message.thread:
            ts = await self._reply(channel, message)
        else:
            ts, _ = await self._client.post(channel, as_post(message, _priority(message)))
        return _receipt(channel, ts)

    async def find(self, message: Message) -> str | None:
        """The receipt of a message with this key, read from the channel and its thread.

        Raises:
            NotifyError: The history cannot be read.
        """
        channel = await self._client.channel(message.channel)
        head = await self._threads.in_history(channel, message) if message.thread else None
        if head is not None and message.key in head.keys:
            return _receipt(channel, head.ts)
        if message.header and message.thread:
            return None
        oldest = message.due_at - SKEW
        if head is not None:
            async for found in self._client.replies(channel, head.ts, oldest):
                if message.key in keys_of(found):
                    return _receipt(channel, str(found["ts"]))
        async for found in self._client.history(channel, oldest):
            if message.key in keys_of(found):
                return _receipt(channel, str(found["ts"]))
        return None

    async def _reply(self, channel: Channel, message: Message) -> str:
        needed = message.audience is Audience.RESPONDERS
        head = await self._threads.head_for(channel, message, needed=needed)
        ts, in_thread = await self._client.post(channel, as_post(message, _priority(message)), thread=head)
        if head and not in_thread:
            # The head went between the look and the post; what follows gets a new one.
            self._threads.forget(channel, message.thread)
        return ts


def _priority(message: Message) -> int:
    if message.header or (message.audience is Audience.RESPONDERS and not message.thread):
        return FIRST_ALARM
    return NEWS if message.audience is not Audience.RESPONDERS else CHATTER


def _receipt(channel: Channel, ts: str) -> str:
    return f"{channel.id}/{ts}"


KIND: Final = NotifierKind("slack", SlackOptions, SlackNotifier)
