"""What a kind finds wrong with its own options, as problems at the place that is meant."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from watchdog.config.explain import advised
from watchdog.config.options import Leaf, leaves
from watchdog.config.problems import Problem, dotted
from watchdog.config.shapes import Place
from watchdog.config.tree import Text
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import Script

_WHERE: Final = re.compile(r"(?:(?P<key>[a-z_]+)(?:: | (?=line )))?(?:line (?P<line>\d+): )?")
_SYNTAX: Final = re.compile(r"syntax error|unterminated ")


def report_complaints(place: Place, complaints: Callable[[Any], Iterable[str]], options: Any) -> None:
    """Reports everything that a kind says of its options, at the key or the line of the script that is meant."""
    try:
        found = list(complaints(options))
    except WatchdogError as error:
        found = [str(error)]
    for sentence in found:
        place.findings.error(_problem(place, options, sentence))


def _problem(place: Place, options: Any, sentence: str) -> Problem:
    known = list(leaves(options))
    where = _WHERE.match(sentence)
    key, line, rest = None, None, sentence
    if where and (where["key"] is None or any(leaf.path[0] == where["key"] for leaf in known)):
        key, line, rest = where["key"], where["line"], sentence[where.end() :]
    message, instead = advised(rest)
    if not instead and _SYNTAX.match(message):
        instead = "a statement that the server can read"
    script = next((leaf for leaf in known if isinstance(leaf.value, Script) and key in {None, leaf.path[0]}), None)
    if line is not None and script is not None:
        return _in_script(place, script, int(line), message, instead)
    at = place.at(key) if key else place
    return at.source.problem(at.path, message, instead)


def _in_script(place: Place, script: Leaf, line: int, message: str, instead: str) -> Problem:
    at = place.at(*script.path)
    if isinstance(text := at.at("text").node, Text):
        return Problem(place.source.file, text.line + line - 1, dotted(at.path), message, instead)
    name = at.at("file").node
    return Problem(str(place.scope.directory / Path(str(name))), line, dotted(at.path), message, instead)
