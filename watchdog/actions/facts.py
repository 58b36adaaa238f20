"""Words of a step's options that are filled in when it runs, such as `{old_version}`."""

import re
from collections.abc import Iterator

from watchdog.ports.actions import StepContext
from watchdog.ports.errors import StepError

NAMES = ("release", "old_version", "new_version", "flags", "incident", "t0", "guard", "run")

_PLACE = re.compile(r"\{(\w+)\}")


def fill(text: str, context: StepContext) -> str:
    """The text with every `{name}` replaced.

    Raises:
        StepError: A fact is not known in this run.
    """
    facts = {**context.facts, "guard": context.guard, "run": context.run_id}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not facts.get(name):
            raise StepError(f"This run knows no {name}, which the step asks for as {{{name}}}; start a release first.")
        return facts[name]

    return _PLACE.sub(value, text)


def complaints(text: str) -> Iterator[str]:
    """Names that no run will know."""
    for name in _PLACE.findall(text):
        if name not in NAMES:
            yield f"{{{name}}} is unknown; write one of {', '.join(f'{{{known}}}' for known in NAMES)}."
