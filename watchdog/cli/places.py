"""Where a daemon keeps its things, read out of its configuration as leniently as can be.

A person who freezes a guard or asks a daemon has another environment than the daemon, and perhaps a configuration
that is broken by now: only what is needed here is read, and nothing else is judged.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from watchdog.config.secrets import UnresolvedError, resolve
from watchdog.ports.errors import WatchdogError


@dataclass(frozen=True)
class Places:
    """What can be known without the daemon.

    Attributes:
        guards: Names of the configured guards.
    """

    state: Path
    socket: Path
    guards: tuple[str, ...]


class PlacesError(WatchdogError):
    """The configuration does not say where the daemon is."""


def places(config: Path, environ: Mapping[str, str] = os.environ) -> Places:
    """Where the daemon of a configuration is.

    Raises:
        PlacesError: The file cannot be read, or does not say.
    """
    top = _read(config)
    web = top.get("web")
    state = config.parent / _text(config, "state", top.get("state"), environ)
    name = web.get("socket", "watchdog.sock") if isinstance(web, dict) else "watchdog.sock"
    guards = top.get("guards")
    return Places(
        state=state,
        socket=state / _text(config, "web.socket", name, environ),
        guards=tuple(str(guard) for guard in guards) if isinstance(guards, dict) else (),
    )


def _read(config: Path) -> dict[str, Any]:
    try:
        top = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlacesError(
            f"{config} cannot be read ({error.strerror}): name the configuration with --config or $WATCHDOG_CONFIG"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise PlacesError(f"{config} is not YAML: `watchdog check` says where") from error
    if not isinstance(top, dict):
        raise PlacesError(f"{config} is no configuration: `watchdog check` says why")
    return top


def _text(config: Path, key: str, value: object, environ: Mapping[str, str]) -> str:
    if not isinstance(value, str) or not value:
        raise PlacesError(f"{config} does not say `{key}`: `watchdog check` says what is wrong")
    try:
        return resolve(value, environ)
    except UnresolvedError as error:
        raise PlacesError(f"{config}: {key}: {error}; {error.instead}") from error
