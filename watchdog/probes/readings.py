"""What every probe needs to answer."""

from collections.abc import Iterable, Mapping

from watchdog.model.signals import Cause, Labels, Missing
from watchdog.ports.errors import ProbeError, TargetError, WatchdogError
from watchdog.ports.kinds import Script
from watchdog.ports.probes import Reading, Readings

MAX_COUNT = 10_000
"""Checks count violations up to here: more make no difference, and counting must stay cheap."""


def single(value: Reading) -> Mapping[Labels, Reading]:
    """A signal that is not split."""
    return {(): value}


def down(zero: Iterable[str], missing: Iterable[str], error: ProbeError) -> Readings:
    """The answer when the target cannot be reached: that is a fact for `zero`, and no value for `missing`.

    Raises:
        ProbeError: `error`, when it is something else or nobody asked whether the target is reachable.
    """
    answers = {name: single(0.0) for name in zero}
    if not answers or error.cause is not Cause.UNREACHABLE:
        raise error
    return answers | {name: single(Missing(error.cause, str(error))) for name in missing}


def no_answer(error: WatchdogError) -> ProbeError:
    """An error of a target as the probe's: it may answer later, or somebody has to mend something."""
    passing = isinstance(error, TargetError) and error.retryable
    return ProbeError(Cause.UNREACHABLE if passing else Cause.PROBE_BROKEN, str(error))


def check_script(script: Script, what: str) -> None:
    """Refuses an empty script.

    Raises:
        ValueError: There is no statement.
    """
    if not script.text.strip(" \t\r\n;"):
        raise ValueError(f"{what} is empty; write one query")
