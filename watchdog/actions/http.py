"""Asks an HTTP service to do something, once as far as the service honours the idempotency key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from watchdog.actions import facts
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, StepUncertainError, TargetError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.http import HttpTarget, HttpUnsentError

_SUCCESS = (200, 201, 202, 204)


@dataclass(frozen=True, kw_only=True)
class HttpCheck:
    """A GET that tells whether the effect is there.

    Attributes:
        path: May hold `{old_version}` and other facts.
        expect: Statuses that mean yes.
        contains: Text that the answer must hold too.
    """

    path: str
    expect: tuple[int, ...] = (200,)
    contains: str = ""


@dataclass(frozen=True, kw_only=True)
class HttpActionOptions:
    """One request.

    Attributes:
        path: May hold `{old_version}` and other facts.
        json: The body; texts in it may hold facts.
        expect: Statuses that mean success.
        key_header: The header that carries the step's id, so that the service can tell a repetition.
        verify: How to find out whether it happened, when the answer was lost.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str
    json: Mapping[str, Any] | None = None
    expect: tuple[int, ...] = _SUCCESS
    key_header: str = "Idempotency-Key"
    verify: HttpCheck | None = None


class HttpAction:
    """One request; the epoch travels in `X-Watchdog-Epoch`, for services that fence."""

    def __init__(self, target: HttpTarget, options: HttpActionOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Sends it; see `Action.execute`."""
        path = facts.fill(self._options.path, context)
        headers = {self._options.key_header: context.step_id, "X-Watchdog-Epoch": str(context.epoch)}
        body = _filled(self._options.json, context)
        try:
            answer = await self._target.request(self._options.method, path, json=body, headers=headers)
        except HttpUnsentError as error:
            raise StepError(str(error)) from None
        except TargetError as error:
            raise StepUncertainError(str(error)) from None
        said = f"{self._options.method} {path} answered {answer.status}"
        if answer.status in self._options.expect:
            return said
        # A refusal did nothing; a service that failed may have failed after the effect.
        if answer.status >= 500:
            raise StepUncertainError(f"{self._target.place}: {said}; look at the service's log.")
        raise StepError(f"{self._target.place}: {said}, not {', '.join(map(str, self._options.expect))}.")

    async def verify(self, context: StepContext) -> Verification:
        """Asks by the step's own check, if it has one; see `Action.verify`."""
        check = self._options.verify
        if check is None:
            return Verification(Applied.CANNOT_TELL, "the step has no verify")
        path = facts.fill(check.path, context)
        try:
            answer = await self._target.request("GET", path)
        except TargetError as error:
            return Verification(Applied.CANNOT_TELL, str(error))
        if answer.status >= 500 and answer.status not in check.expect:
            return Verification(Applied.CANNOT_TELL, f"GET {path} answered {answer.status}")
        yes = answer.status in check.expect and check.contains.encode() in answer.body
        return Verification(Applied.YES if yes else Applied.NO, f"GET {path} answered {answer.status}")

    async def preview(self, context: StepContext) -> str:
        """Says what would be sent."""
        return f"would send {self._options.method} {facts.fill(self._options.path, context)} to {self._target.place}"


def _filled(value: Any, context: StepContext) -> Any:
    if isinstance(value, str):
        return facts.fill(value, context)
    if isinstance(value, Mapping):
        return {key: _filled(each, context) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(each, context) for each in value]
    return value


def _complaints(options: HttpActionOptions) -> Iterator[str]:
    paths = [options.path] + ([options.verify.path] if options.verify else [])
    for path in paths:
        yield from facts.complaints(path)
        if not path.startswith("/"):
            yield f"path {path!r} must begin with a slash; the address is the target's."
    if not options.expect:
        yield "expect is empty: name the statuses that mean success."


def _build(role: str, options: HttpActionOptions, resources: Resources) -> HttpAction:
    return HttpAction(cast("HttpTarget", resources.target(role)), options)


KIND: ActionKind[HttpActionOptions] = ActionKind(
    name="http",
    options=HttpActionOptions,
    targets=("http",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
