"""Finding channels and people for a method, with Slack's own errors."""

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.errors import NotThereError, SlackError
from watchdog.doubles.slack.state import BOT_USER, Channel


def channel_by_id(context: Context, args: Args) -> Channel:
    """The channel named by its id; most methods know no other way.

    Raises:
        SlackError: `channel_not_found`.
    """
    channel = context.workspace.channels.get(args.text("channel"))
    if channel is None:
        raise SlackError("channel_not_found")
    return channel


def channel_to_post(context: Context, args: Args) -> Channel:
    """The channel to post to, by id or name, open and joined.

    Raises:
        SlackError: `channel_not_found`, `is_archived` or `not_in_channel`.
    """
    try:
        channel = context.workspace.channel(args.text("channel"))
    except NotThereError as problem:
        raise SlackError("channel_not_found") from problem
    if channel.archived:
        raise SlackError("is_archived")
    return joined(channel)


def joined(channel: Channel) -> Channel:
    """The same channel, when the app is in it.

    Raises:
        SlackError: `not_in_channel`.
    """
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    return channel
