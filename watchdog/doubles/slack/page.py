"""The page for a person: read channels, press buttons, type commands. Works without JavaScript."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from watchdog.doubles.slack.double import Double
from watchdog.doubles.slack.errors import NotAcknowledgedError, NotThereError, SlackError
from watchdog.doubles.slack.http import form_fields
from watchdog.doubles.slack.mrkdwn import emoji, to_html
from watchdog.doubles.slack.state import BOT_USER, Channel, Json, Message

REFRESH_SECONDS = 2
REFRESH_SECONDS_WITH_NOTE = 6
# Nothing but our own inline style runs on the page, whatever a message contains.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' http: https:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# The app has colour 0 to itself.
_COLOURS = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """A message with what the template asks of it."""

    message: Message
    anchor: str
    author: str
    initials: str
    colour: int
    is_app: bool
    at: datetime
    only_for: str | None
    replies: "tuple[Shown, ...]"
    files: tuple[Json, ...]


class Page:
    """Handlers of the paths that a browser uses."""

    def __init__(self, double: Double) -> None:
        """Show this double."""
        self._double = double
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["mrkdwn"] = self._mrkdwn
        self._templates.filters["emoji"] = emoji

    def routes(self) -> list[web.RouteDef]:
        """The paths."""
        return [
            web.get("/", self.show),
            web.get("/write", self.show_form),
            web.post("/press", self.press),
            web.post("/write", self.write),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """A channel."""
        return self._render(request, writing=False)

    async def show_form(self, request: web.Request) -> web.StreamResponse:
        """A channel with a form to write in; it does not refresh, so that nothing typed is lost."""
        return self._render(request, writing=True)

    async def press(self, request: web.Request) -> web.StreamResponse:
        """A press on a button."""
        form = await _own_form(request)

        async def do() -> None:
            await self._double.press(form["channel"], form["ts"], form["action_id"], form["user"])

        return await _done(form, do)

    async def write(self, request: web.Request) -> web.StreamResponse:
        """A message, or a command when it begins with a slash."""
        form = await _own_form(request)
        text = form["text"].strip()

        async def do() -> None:
            if text.startswith("/"):
                command, _, rest = text.partition(" ")
                await self._double.slash(command, rest.strip(), form["user"], form["channel"])
            elif text:
                self._double.say(form["channel"], form["user"], text)

        return await _done(form, do)

    def _render(self, request: web.Request, *, writing: bool) -> web.Response:
        workspace = self._double.workspace
        channels = list(workspace.channels.values())
        people = {user: name for user, name in workspace.users.items() if user != BOT_USER}
        channel = workspace.channels.get(request.query.get("channel", ""), channels[0] if channels else None)
        user = request.query.get("user", "")
        user = user if user in people else next(iter(people), "")
        live = request.query.get("live") != "0" and not writing
        note = request.query.get("note", "")
        html = self._templates.get_template("page.html").render(
            channels=channels,
            channel=channel,
            people=people,
            user=user,
            threads=self._threads(channel, user) if channel else [],
            views=[view for view in workspace.views if view["opened_for"] == user],
            connections=self._double.connections,
            live=live,
            writing=writing,
            note=note,
            refresh=REFRESH_SECONDS_WITH_NOTE if note else REFRESH_SECONDS,
        )
        return web.Response(
            body=html.encode(errors="replace"),
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
        )

    def _threads(self, channel: Channel, user: str) -> list[Shown]:
        """Threads, newest first: what happens now is on top without scrolling."""
        mine = [message for message in channel.ephemerals if message.only_for == user]
        everything = sorted([*channel.visible(), *mine], key=lambda message: message.ts)
        there = {message.ts for message in everything}
        replies: dict[str, list[Message]] = {}
        top: list[Message] = []
        for message in everything:
            if message.thread_ts in there and message.thread_ts is not None:
                replies.setdefault(message.thread_ts, []).append(message)
            else:
                top.append(message)
        return [
            self._shown(message, tuple(self._shown(reply) for reply in replies.get(message.ts, ())))
            for message in reversed(top)
        ]

    def _shown(self, message: Message, replies: tuple[Shown, ...] = ()) -> Shown:
        workspace = self._double.workspace
        author = workspace.users.get(message.user, message.user)
        seconds = int(message.ts.partition(".")[0])
        return Shown(
            message=message,
            anchor="m" + message.ts.replace(".", ""),
            author=author,
            initials="".join(word[0] for word in author.split()[:2]).upper(),
            colour=0 if message.user == BOT_USER else 1 + sum(message.user.encode()) % _COLOURS,
            is_app=message.user == BOT_USER,
            at=datetime.fromtimestamp(seconds, tz=UTC),
            only_for=workspace.users.get(message.only_for) if message.only_for else None,
            replies=replies,
            files=tuple(
                {"id": file_id, "title": workspace.files[file_id].title, "name": workspace.files[file_id].name}
                for file_id in message.files
            ),
        )

    def _mrkdwn(self, text: str) -> Markup:
        return to_html(text, self._name)

    def _name(self, some_id: str) -> str | None:
        channel = self._double.workspace.channels.get(some_id)
        return channel.name if channel else self._double.workspace.users.get(some_id)


def refuse_other_sites(request: web.Request) -> None:
    """Let no other web page that the person has open press our buttons.

    Raises:
        web.HTTPForbidden: the request was sent from somewhere else.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise web.HTTPForbidden(text="this form was sent from another site")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise web.HTTPForbidden(text="this form was sent from another site")


async def _own_form(request: web.Request) -> defaultdict[str, str]:
    refuse_other_sites(request)
    try:
        return defaultdict(str, await form_fields(request))
    except SlackError as problem:
        raise web.HTTPBadRequest(text=problem.code) from problem


async def _done(form: Mapping[str, str], do: Callable[[], Awaitable[None]]) -> web.Response:
    note = ""
    try:
        await do()
    except NotThereError as problem:
        note = str(problem)
    except NotAcknowledgedError:
        note = "The app did not answer. Is it running, and connected by Socket Mode?"
    query = {"channel": form["channel"], "user": form["user"]} | ({"note": note} if note else {})
    anchor = "#m" + form["ts"].replace(".", "") if form["ts"].replace(".", "").isdecimal() else ""
    return web.Response(
        status=303, headers={"Location": f"/?{urlencode(query, errors='replace')}{quote(anchor, safe='#')}"}
    )
