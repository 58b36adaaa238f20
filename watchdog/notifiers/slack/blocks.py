"""From a message to Slack's blocks: pure, within Slack's limits, and no text can become a mention."""

from typing import Any, Final

from watchdog.ports.notifiers import Message

Block = dict[str, Any]

TITLE: Final = 150
SECTION: Final = 3000
SECTIONS: Final = 4
FIELD: Final = 2000
FIELDS_A_BLOCK: Final = 10
FIELDS: Final = 30
LABEL: Final = 75
BUTTONS: Final = 25
# chat.update takes less than chat.postMessage; the plain text is only what notifications and old clients show.
PLAIN: Final = 3000

STYLES: Final = {"ack": "primary", "approve": "primary", "deny": "danger"}


def blocks(message: Message) -> list[Block]:
    """The message as blocks: title (of a head), text, fields, where it belongs, buttons."""
    title, body = ("", message.text)
    if message.header:
        title, _, body = message.text.strip().partition("\n")
    built: list[Block] = []
    if title:
        built.append({"type": "header", "text": _plain(title, TITLE)})
    built += [{"type": "section", "text": _mrkdwn(piece)} for piece in _sections(body, message.incident)]
    built += _fields(message.fields)
    if message.header or not message.thread:
        built.append(_context(message))
    if message.buttons:
        built.append(_actions(message))
    return built


def plain_text(message: Message) -> str:
    """The message for notifications, shortened to what every call takes."""
    return shorten(message.text, PLAIN) or f"Incident {escape(message.incident)}"


def escape(text: str) -> str:
    """Text in which Slack finds no markup of its own: no mention, no link, no entity."""
    clean = text.encode(errors="replace").decode()
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, limit: int) -> str:
    """The text, escaped and at most so many characters long; `…` says that something is missing."""
    text = text.strip()
    end = _fitting(text, limit)
    return escape(text) if end == len(text) else escape(text[: _fitting(text, limit - 1)]) + "…"


def split(text: str, limit: int, most: int) -> tuple[list[str], int]:
    """The text in escaped pieces of at most `limit` characters, at ends of lines where there are any.

    Returns:
        At most `most` pieces, and how many characters did not fit.
    """
    pieces: list[str] = []
    rest = text.strip()
    while rest and len(pieces) < most:
        end = _fitting(rest, limit)
        if end < len(rest) and (newline := rest.rfind("\n", 1, end + 1)) > 0:
            end = newline
        pieces.append(escape(rest[:end]))
        rest = rest[end:].strip("\n")
    return pieces, len(rest)


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text fit into `limit` when escaped."""
    room = limit
    for place, character in enumerate(text):
        room -= len(escape(character))
        if room < 0:
            return place
    return len(text)


def _sections(body: str, incident: str) -> list[str]:
    pieces, missing = split(body, SECTION, SECTIONS)
    if missing:
        where = f"`watchdog incident show {escape(incident)}` has all of it"
        pieces.append(f"_… cut here: {missing} more characters; {where}_")
    return pieces


def _fields(fields: tuple[tuple[str, str], ...]) -> list[Block]:
    # An empty name or value would be refused with the whole message.
    shown = [f"*{shorten(name, 200) or '-'}*\n{shorten(value, FIELD - 300) or '-'}" for name, value in fields[:FIELDS]]
    if len(fields) > FIELDS:
        shown[-1] = f"_… cut here: {len(fields) - FIELDS + 1} more fields_"
    return [
        {"type": "section", "fields": [_mrkdwn(text) for text in shown[start : start + FIELDS_A_BLOCK]]}
        for start in range(0, len(shown), FIELDS_A_BLOCK)
    ]


def _context(message: Message) -> Block:
    where = " · ".join(shorten(part, 500) for part in (message.guard, message.incident) if part.strip())
    return {"type": "context", "elements": [_mrkdwn(where or "watchdog")]}


def _actions(message: Message) -> Block:
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": action,
                "text": _plain(label, LABEL),
                "value": value or f"{message.guard}|{message.incident}",
            }
            | ({"style": STYLES[action]} if action in STYLES else {})
            for action, label, value in message.buttons[:BUTTONS]
        ],
    }


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": shorten(text, limit) or "-"}
