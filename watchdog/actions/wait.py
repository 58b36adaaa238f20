"""Waits."""

from collections.abc import Iterator
from dataclasses import dataclass

from watchdog.model.time import say_span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.kinds import ActionKind, Duration, Resources


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    """How long.

    Attributes:
        for_: Such as `10s`; a file says `for`.
    """

    for_: Duration


class WaitAction:
    """Has no effect, so it may be repeated."""

    def __init__(self, options: WaitOptions) -> None:
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Waits the whole length; see `Action.execute`."""
        await context.clock.sleep(self._options.for_)
        return f"waited {say_span(self._options.for_)}"

    async def verify(self, context: StepContext) -> Verification:
        """A wait that was cut short has not happened."""
        del context
        return Verification(Applied.NO, "a wait leaves no trace; it is done again")

    async def preview(self, context: StepContext) -> str:
        """Says how long."""
        del context
        return f"would wait {say_span(self._options.for_)}"


def _complaints(options: WaitOptions) -> Iterator[str]:
    if options.for_ <= 0:
        yield "for must be more than nothing."


def _build(_role: str, options: WaitOptions, _resources: Resources) -> WaitAction:
    return WaitAction(options)


KIND: ActionKind[WaitOptions] = ActionKind(
    name="wait",
    options=WaitOptions,
    targets=(),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
