"""Slack's mrkdwn as safe HTML for the page."""

import re
from collections.abc import Callable
from types import MappingProxyType

from markupsafe import Markup, escape

_TOKEN = re.compile(
    r"```(?P<pre>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<link>[^<>\n]+)>"
    r"|^(?:>|&gt;) ?(?P<quote>[^\n]*)\n?"
    r"|(?<![\w*])\*(?P<bold>[^*\n]+)\*(?![\w*])"
    r"|(?<!\w)_(?P<italic>[^_\n]+)_(?!\w)"
    r"|(?<![\w~])~(?P<strike>[^~\n]+)~(?![\w~])"
    r"|:(?P<emoji>[a-z0-9_+-]+):",
    re.DOTALL | re.MULTILINE,
)
_EMOJI = MappingProxyType(
    {
        "bell": "🔔",
        "black_small_square": "▪️",
        "checkered_flag": "🏁",
        "eyes": "👀",
        "fire": "🔥",
        "green_circle": "🟢",
        "hourglass_flowing_sand": "⏳",
        "information_source": "ℹ️",  # noqa: RUF001 - the emoji itself
        "large_blue_circle": "🔵",
        "large_green_circle": "🟢",
        "large_orange_circle": "🟠",
        "large_red_circle": "🔴",
        "large_yellow_circle": "🟡",
        "lock": "🔒",
        "no_entry": "⛔",
        "octagonal_sign": "🛑",
        "pause_button": "⏸️",
        "red_circle": "🔴",
        "rewind": "⏪",
        "rocket": "🚀",
        "rotating_light": "🚨",
        "snowflake": "❄️",
        "tada": "🎉",
        "warning": "⚠️",
        "wave": "👋",
        "white_check_mark": "✅",
        "wrench": "🔧",
        "x": "❌",
    }
)

Names = Callable[[str], str | None]


def to_html(text: str, names: Names) -> Markup:
    """Render `text`; `names` gives the name of a user or channel id. Everything unknown is shown as it is."""
    out = Markup()
    at = 0
    for token in _TOKEN.finditer(text):
        out += _plain(text[at : token.start()]) + _token(token, names)
        at = token.end()
    return out + _plain(text[at:])


def emoji(name: str) -> str:
    """The emoji with this short name, or the short name."""
    return _EMOJI.get(name, f":{name}:")


def _plain(text: str) -> Markup:
    # The app has written &amp; &lt; &gt; for these three, as Slack asks; everything is escaped anew for HTML.
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return escape(text).replace("\n", Markup("<br>"))


_NESTED = MappingProxyType({"quote": "blockquote", "bold": "b", "italic": "i", "strike": "s"})


def _token(token: re.Match[str], names: Names) -> Markup:
    kind = str(token.lastgroup)
    text = token[kind]
    match kind:
        case "pre":
            return Markup("<pre>{}</pre>").format(_plain(text.strip("\n")).replace(Markup("<br>"), "\n"))
        case "code":
            return Markup("<code>{}</code>").format(_plain(text))
        case "link":
            return _link(text, names)
        case "emoji":
            return escape(emoji(text))
        case _:
            return Markup("<{0}>{1}</{0}>").format(_NESTED[kind], to_html(text, names))


def _link(text: str, names: Names) -> Markup:
    target, _, label = text.partition("|")
    if target[:1] in {"@", "#"}:
        shown = label or names(target[1:]) or target[1:]
        return Markup('<span class="mention">{}{}</span>').format(target[0], shown.removeprefix(target[0]))
    if target.startswith("!"):
        return Markup('<span class="mention">{}</span>').format(label or f"@{target[1:]}")
    if target.startswith(("https://", "http://", "mailto:")):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(_plain(target), _plain(label or target))
    return _plain(f"<{text}>")
