"""Commands that are loaded when they are called: help and quick commands do not pay for servers and drivers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Entry:
    """Where a command is, and its line in the help.

    Attributes:
        place: `module:name` of a function, or of a Typer application with commands of its own.
    """

    place: str
    help: str

    def load(self) -> Any:
        """The function or the application."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)


class LazyCommand(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, which from here on takes over."""
        return command_of(info_name or "", self._entry).make_context(info_name, args, parent=parent, **extra)


class LazyGroup(TyperGroup):
    """A group whose commands are named in a table."""

    table: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in self.table.items():
            self.commands[name] = LazyCommand(name, entry)


def command_of(name: str, entry: Entry) -> Any:
    """The real command."""
    loaded: typer.Typer | Callable[..., Any] = entry.load()
    if isinstance(loaded, typer.Typer):
        return get_command(loaded)
    alone = new_app()
    alone.command(name)(loaded)
    return get_command(alone)


def new_app(text: str | None = None, **settings: Any) -> typer.Typer:
    """A Typer application as ours are: no shell completion, and a traceback only for a mistake of ours."""
    return typer.Typer(
        help=text, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, **settings
    )
