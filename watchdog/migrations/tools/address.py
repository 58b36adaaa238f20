"""How a tool's command and environment name a database. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from watchdog.migrations.tools.known import TOOLS, Tool
from watchdog.ports.errors import WatchdogError

MARK: Final = "watchdog.tool"
"""The setting by which a session says that it is the tool's."""
_PORT: Final = "5432"
_LONGEST: Final = 120
_PLACEHOLDER: Final = re.compile(r"\{(url|jdbc_url|sqitch_url|host|port|user|password|dbname)\}")
_LIBPQ: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


class ToolError(WatchdogError):
    """A tool's command cannot be meant."""

    exit_status = 2


@dataclass(frozen=True)
class Command:
    """A tool, and what it is told.

    Attributes:
        tool: A name in `TOOLS`.
        words: The command, word by word; no shell reads it.
        variables: More environment variables that shall hold the URL.
        version_tables: More tables, as `name` or `schema.name`, in which it notes what it applied.

    Raises:
        ToolError: No such tool, or no command.
    """

    tool: str
    words: tuple[str, ...]
    variables: tuple[str, ...] = ()
    version_tables: tuple[str, ...] = ()
    kind: Tool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuses what cannot be run."""
        if self.tool not in TOOLS:
            raise ToolError(f"--tool {self.tool}: it is one of {', '.join(TOOLS)}.")
        if not self.words:
            raise ToolError(f"--tool {self.tool}: its command is missing; say it behind --, as -- {self.tool} …")
        object.__setattr__(self, "kind", TOOLS[self.tool])

    @property
    def text(self) -> str:
        """The command as it was given, with placeholders."""
        return " ".join(self.words)

    @property
    def short(self) -> str:
        """The command as a message names it: Java's class paths are long."""
        return self.text if len(self.text) <= _LONGEST else f"{self.words[0]} … {self.words[-1]}"


@dataclass(frozen=True)
class Address:
    """A database as a tool shall open it.

    Attributes:
        values: What placeholders stand for.
        options: Settings of its sessions, as libpq's `options` says them.
    """

    values: Mapping[str, str]
    options: str
    ssl: Mapping[str, str]

    @classmethod
    def of(cls, url: str, run: int, *, role: str = "", search_path: str = "") -> "Address":
        """The database of a URL; its sessions carry the mark of a run.

        Args:
            role: Whose rights it works with; empty for the user's own.
            search_path: Where it looks for names; empty for the user's own.
        """
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        options = " ".join(
            f"-c {key}={_escaped(value)}"
            for key, value in ((MARK, str(run)), ("role", role), ("search_path", search_path))
            if value
        )
        if given := parts.get("options"):
            options = f"{given} {options}"
        host, port = parts.get("host", "localhost"), parts.get("port", _PORT)
        user, password, name = parts.get("user", ""), parts.get("password", ""), parts.get("dbname", "")
        ssl = {key: value for key, value in parts.items() if key in _LIBPQ and key.startswith("ssl")}
        who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        # Some drivers do not read + as a space.
        query = urlencode({**ssl, "options": options}, quote_via=quote)
        called = quote(session_name(run), safe="")
        where = f"{_bracketed(host)}:{port}/{quote(name, safe='')}"
        values = {
            "url": f"postgresql://{who}@{where}?{query}&application_name={called}",
            "jdbc_url": f"jdbc:postgresql://{where}?{query}&ApplicationName={called}",
            "sqitch_url": f"db:pg://{who}@{where}",
            "name": session_name(run), "host": host, "port": port, "user": user, "password": password, "dbname": name,
        }  # fmt: skip
        return cls(values, options, ssl)

    def environment(self, command: Command, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of a tool: what it would have had, with every way to find a database leading here."""
        libpq = {_LIBPQ[key]: self.values[key] for key in ("host", "port", "user", "password", "dbname")}
        libpq |= {_LIBPQ[key]: value for key, value in self.ssl.items()}
        kept = {key: value for key, value in inherited.items() if key not in {"PGSERVICE", "PGHOSTADDR"}}
        own = {name: self.filled(value) for name, value in command.kind.environment.items()}
        asked = dict.fromkeys(("DATABASE_URL", *command.variables), self.values["url"])
        return {**kept, **libpq, "PGOPTIONS": self.options, "PGAPPNAME": self.values["name"], **own, **asked}

    def words(self, command: Command, words: Sequence[str] | None = None) -> tuple[str, ...]:
        """The command with every placeholder filled in."""
        said = tuple(words or command.words)
        if command.kind.appends and not _PLACEHOLDER.search(" ".join(command.words)):
            said = (said[0], *command.kind.appends, *said[1:])
        return tuple(self.filled(word) for word in said)

    def filled(self, text: str) -> str:
        """A text with its placeholders filled in."""
        return _PLACEHOLDER.sub(lambda found: self.values[found[1]], text)

    def without_secrets(self, text: str) -> str:
        """What a tool said, without the password."""
        password = self.values["password"]
        for secret in {password, quote(password, safe="")} - {""}:
            text = text.replace(secret, "***")
        return text


def session_name(run: int) -> str:
    """What the tool's sessions are called where people look at sessions."""
    return f"watchdog tool {run}"


def status_words(command: Command) -> tuple[str, ...] | None:
    """The command that asks the tool for its state; None when we do not see where its verb is."""
    for position, word in enumerate(command.words):
        if position and word in command.kind.verbs:
            rest = command.words[position + 1 :] if command.kind.keeps else ()
            return (*command.words[:position], *command.kind.status, *rest)
    return None


def names_its_address(command: Command) -> bool:
    """Whether the address is in the command itself or in a variable that was asked for."""
    return bool(command.variables or command.kind.appends or _PLACEHOLDER.search(command.text))


def _escaped(value: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", value)


def _bracketed(host: str) -> str:
    if host.startswith("/"):
        return quote(host, safe="")
    return f"[{host}]" if ":" in host else host
