"""`config.yaml`: targets, notifiers, channels, plans, guards, journal and web."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from watchdog.config.complaints import report_complaints
from watchdog.config.configuration import (
    Address,
    Channel,
    ConfiguredNotifier,
    ConfiguredTarget,
    Discover,
    JournalConfiguration,
    Registries,
    WebConfiguration,
)
from watchdog.config.options import leaves
from watchdog.config.problems import one_of, quoted
from watchdog.config.scalars import Name, PositiveLength, Raw, complaint, plain
from watchdog.config.secrets import ConfiguredText
from watchdog.config.shapes import Place, Shape, Values, part, shape
from watchdog.model.communication import Plan
from watchdog.model.guards import GuardSettings
from watchdog.ports.kinds import NotifierKind, TargetKind

NAMES: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
NAME_HELP: Final = "letters, digits, `-` and `_`, at most 63"
SOCKET_BYTES: Final = 107
"""What Linux takes as the path of a Unix socket."""


def _address(value: object, info: ValidationInfo) -> Address:
    text = plain(value, info)
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not (host and colon and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535):
        raise complaint("is no address", "a host and a port: 127.0.0.1:9187")
    return Address(host=host.removeprefix("[").removesuffix("]"), port=int(port))


HostAndPort = Annotated[Address, PlainValidator(_address), WithJsonSchema({"type": "string"})]


@dataclass(frozen=True, kw_only=True)
class ConfigHead:
    """The top of the file."""

    state: str
    guards: Raw
    version: Raw | None = None
    targets: Raw | None = None
    journal: Raw | None = None
    web: Raw | None = None
    notifiers: Raw | None = None
    channels: Raw | None = None
    plans: Raw | None = None


@dataclass(frozen=True, kw_only=True)
class KindHead:
    """What tells targets and notifiers apart."""

    kind: str


@dataclass(frozen=True, kw_only=True)
class JournalHead:
    """The journal; its file is in the state directory unless `path` says otherwise."""

    kind: Literal["sqlite"] = "sqlite"
    path: str = "journal.db"


@dataclass(frozen=True, kw_only=True)
class WebHead:
    """Where the daemon is reached."""

    socket: str = "watchdog.sock"
    metrics: HostAndPort | None = None


@dataclass(frozen=True, kw_only=True)
class GuardHead:
    """What a guard names, beside its settings."""

    rules: tuple[Name, ...]
    playbook: Name
    plan: Name = ""
    targets: Mapping[str, Name] = field(default_factory=dict)
    every: PositiveLength | None = None
    demo: bool = False
    discover: Discover | None = None


@dataclass(frozen=True, kw_only=True)
class DeclaredGuard:
    """A guard as the file declares it; what is wrong in it has its default here, and is reported."""

    name: str
    place: Place
    head: GuardHead
    values: Values


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """What could be read of the file; a part that is wrong is reported, and known by its name with the value None."""

    place: Place
    state: Path | None
    targets: Mapping[str, ConfiguredTarget | None]
    notifiers: Mapping[str, ConfiguredNotifier | None]
    channels: Mapping[str, Channel | None]
    plans: Mapping[str, Plan | None]
    guards: tuple[DeclaredGuard, ...]
    journal: JournalConfiguration | None
    web: WebConfiguration | None


def head_shape() -> Shape:
    """The top of the file."""
    return shape("configuration", part(ConfigHead))


def target_shape(kind: TargetKind[Any]) -> Shape:
    """A target of this kind."""
    return shape(f"{kind.name} target", part(KindHead), part(kind.options))


def notifier_shape(kind: NotifierKind[Any]) -> Shape:
    """A notifier of this kind."""
    return shape(f"{kind.name} notifier", part(KindHead), part(kind.options))


_IN_RULES: Final = ("evidence", "versions", "brakes", "queries")
"""What a guard has from its rules files."""


def guard_shape() -> Shape:
    """A guard."""
    return shape(
        "guard",
        part(GuardHead),
        part(
            GuardSettings, "name", "rules", "signals", "playbook", "plan", "evidence", "versions", "brakes", "queries"
        ),
    )


def plan_shape() -> Shape:
    """A communication plan."""
    return shape("plan", part(Plan))


def channel_shape() -> Shape:
    """A channel."""
    return shape("channel", part(Channel))


def journal_shape() -> Shape:
    """The journal."""
    return shape("journal", part(JournalHead))


def web_shape() -> Shape:
    """Where the daemon is reached."""
    return shape("web", part(WebHead))


def read_config(top: Place, registries: Registries) -> ConfigFile:
    """Reads `config.yaml`, each part by itself, so that one mistake hides no other."""
    head = top.read(head_shape())
    state = _state(top, head)
    channels = {
        name: values.build(Channel) if (values := place.read(channel_shape())) else None
        for name, place in _named(top.at("channels"))
    }
    plans = {
        name: values.build(Plan) if (values := place.read(plan_shape())) else None
        for name, place in _named(top.at("plans"))
    }
    file = ConfigFile(
        place=top,
        state=state,
        targets={name: _target(place, registries) for name, place in _named(top.at("targets"))},
        notifiers={name: _notifier(place, registries) for name, place in _named(top.at("notifiers"))},
        channels=channels,
        plans=plans,
        guards=_guards(top),
        journal=_journal(top.at("journal"), state),
        web=_web(top.at("web"), state),
    )
    _check_channels(file)
    return file


def _named(section: Place) -> list[tuple[str, Place]]:
    """The entries of a section; their names are used in file names, metrics and addresses."""
    named = list(section.entries())
    for name, place in named:
        if not NAMES.fullmatch(name):
            place.error(f"{quoted(name)} is no name", NAME_HELP)
    return named


def _state(top: Place, head: Values | None) -> Path | None:
    if head is None:
        return None
    if not head.given["state"] or "\0" in head.given["state"]:
        top.at("state").error("is no directory", "the directory of what the daemon keeps")
        return None
    return top.scope.directory / str(head.given["state"])


def _target(place: Place, registries: Registries) -> ConfiguredTarget | None:
    kind = place.kind("kind", registries.targets, "kind of target")
    values = place.read(target_shape(kind)) if kind else None
    options = place.build(values, kind.options) if kind and values else None
    if kind is None or options is None:
        return None
    _check_secrets(place, options)
    report_complaints(place, kind.complaints, options)
    return ConfiguredTarget(kind=kind.name, options=options)


def _notifier(place: Place, registries: Registries) -> ConfiguredNotifier | None:
    kind = place.kind("kind", registries.notifiers, "kind of notifier")
    values = place.read(notifier_shape(kind)) if kind else None
    options = place.build(values, kind.options) if kind and values else None
    if kind is None or options is None:
        return None
    _check_secrets(place, options)
    return ConfiguredNotifier(kind=kind.name, options=options)


def _check_secrets(place: Place, options: Any) -> None:
    """A secret in the file itself works, but it is where everybody who may read the file sees it."""
    for leaf in leaves(options):
        if not isinstance(leaf.value, ConfiguredText) or leaf.value.refers or not leaf.value.configured:
            continue
        address = re.match(r"[a-z0-9+.]+://(?:([^@/]*)@)?", leaf.value.configured)
        if address is None or ":" in (address[1] or ""):
            place.at(*leaf.path).warn("a secret is written out here", "`${env:NAME}` or `${file:/path}`")


def _guards(top: Place) -> tuple[DeclaredGuard, ...]:
    section = top.at("guards")
    named = _named(section)
    if not named and section.node in ({}, None):
        section.error("nothing is guarded", "a guard: its name, `rules: […]` and `playbook: …`")
    read = []
    for name, place in named:
        values = place.read_parts(guard_shape())
        if values is not None:
            head = GuardHead(**{"rules": (), "playbook": "", **values.of(GuardHead)})
            read.append(DeclaredGuard(name=name, place=place, head=head, values=values))
    return tuple(read)


def _journal(place: Place, state: Path | None) -> JournalConfiguration | None:
    values = Values({}) if place.node is None else place.read(journal_shape())
    if values is None or state is None:
        return None
    head = values.build(JournalHead)
    return JournalConfiguration(kind=head.kind, path=state / head.path)


def _web(place: Place, state: Path | None) -> WebConfiguration | None:
    values = Values({}) if place.node is None else place.read(web_shape())
    if values is None or state is None:
        return None
    head = values.build(WebHead)
    socket = state / head.socket
    if len(str(socket.absolute()).encode()) > SOCKET_BYTES:
        message = f"the socket's path would be longer than {SOCKET_BYTES} bytes"
        place.at("socket").error(message, "a short absolute path like /run/watchdog.sock")
    return WebConfiguration(socket=socket, metrics=head.metrics)


def _check_beats(section: Place, plan: Plan) -> None:
    first: dict[str, int] = {}
    for position, beat in enumerate(plan.beats):
        place = section.at(position, "name")
        line = place.source.line(place.path)
        if beat.name in first:
            message = f"{quoted(beat.name)} is the name of another beat, in line {first[beat.name]}"
            place.error(message, "another name")
        first.setdefault(beat.name, line)


def _check_channels(file: ConfigFile) -> None:
    top = file.place
    for name, channel in file.channels.items():
        if channel is not None and channel.notifier not in file.notifiers:
            place = top.at("channels", name, "notifier")
            place.error(f"{quoted(channel.notifier)} is no notifier", one_of(channel.notifier, file.notifiers))
    for name, plan in file.plans.items():
        if plan is None:
            continue
        at = top.at("plans", name)
        _check_beats(at.at("beats"), plan)
        named = [(at.at("updates"), plan.updates)]
        named += [(at.at("beats", position, "channel"), beat.channel) for position, beat in enumerate(plan.beats)]
        for place, channel_name in named:
            if channel_name and channel_name not in file.channels:
                place.error(f"{quoted(channel_name)} is no channel", one_of(channel_name, file.channels))
    used = {channel.notifier for channel in file.channels.values() if channel is not None}
    for name in file.notifiers.keys() - used if None not in file.channels.values() else ():
        top.at("notifiers", name).warn("no channel uses this notifier", "a channel that does, or leave it out")
