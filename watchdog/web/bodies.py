"""What may be sent to the API: checked, and turned into what a guard understands."""

from typing import Annotated, Any, Final, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from watchdog.model import inputs
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, Surroundings
from watchdog.model.rules import RungKind
from watchdog.model.time import SECOND, span
from watchdog.web.moments import from_datetime

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]

PLAINER: Final = {
    "extra_forbidden": "is no field here",
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
}
"""Pydantic's words where they speak of Python."""

LONGEST_HOLD: Final = 30 * 24 * 3600
"""Seconds; a longer hold is one without an end."""


class BodyError(ValueError):
    """A body is not what is asked for.

    Attributes:
        field: Dotted; empty when the whole body is meant.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Body(BaseModel):
    """No field more than is known, and nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Nothing(Body):
    """An empty body."""


class AboutIncident(Body):
    """A word about an incident; with a name it is refused when that incident is over."""

    incident: str = ""


class AnswerBody(AboutIncident):
    """An answer to what is proposed; with a rung it is refused when another one waits by then."""

    rung: RungKind | None = None


class ReasonBody(AboutIncident):
    """With a reason."""

    reason: Reason


class ResolveBody(AboutIncident):
    """A person may resolve without a word."""

    reason: str = ""


class DisarmBody(Body):
    """Why a release is watched no longer."""

    reason: Reason


class TriggerBody(Body):
    """Why a person starts the ladder, and where."""

    reason: Reason
    rung: RungKind | None = None

    def to_input(self, who: str) -> inputs.Trigger:
        """What a guard understands."""
        return inputs.Trigger(who, self.reason, self.rung)


class HoldBody(ReasonBody):
    """Why nothing new may begin, and for how many seconds; without them until it is released."""

    seconds: Annotated[float, Field(gt=0, le=LONGEST_HOLD)] | None = None

    def to_input(self, who: str) -> inputs.SetHold:
        """What a guard understands."""
        return inputs.SetHold(who, self.reason, span(self.seconds) if self.seconds is not None else None)


class SurroundingsBody(Body):
    """What a rehearsal ran on."""

    server: Name
    extensions: tuple[str, ...] = ()
    collation: str = ""
    schema_hash: str = ""


class CertificateBody(Body):
    """A certificate as `views.certificate_view` writes it."""

    id: Name
    issued_at: AwareDatetime
    surroundings: SurroundingsBody
    rollback_hash: Name
    restored: bool
    old_code: Compatibility
    measured_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    findings: tuple[str, ...] = ()
    scripts: tuple[Name, ...] = ()

    def to_model(self) -> Certificate:
        """What a guard understands."""
        return Certificate(
            id=self.id,
            issued_at=from_datetime(self.issued_at),
            surroundings=Surroundings(**self.surroundings.model_dump()),
            rollback_hash=self.rollback_hash,
            restored=self.restored,
            old_code=self.old_code,
            measured=round(self.measured_seconds * SECOND),
            findings=self.findings,
            scripts=self.scripts,
        )


class ReleaseBody(Body):
    """A release that is about to begin."""

    id: Name
    migrations: tuple[Name, ...] = ()
    flags: tuple[Name, ...] = ()
    old_version: str = ""
    new_version: str = ""
    protection: Protection = Protection.CODE_ONLY
    certificate: CertificateBody | None = None

    def to_model(self) -> Release:
        """What a guard understands."""
        return Release(
            id=self.id,
            migrations=self.migrations,
            flags=self.flags,
            old_version=self.old_version,
            new_version=self.new_version,
            protection=self.protection,
            certificate=self.certificate.to_model() if self.certificate else None,
        )


AnyBody = TypeVar("AnyBody", bound=Body)


def parse(kind: type[AnyBody], raw: bytes) -> AnyBody:
    """A body out of what was sent; nothing sent is an empty object.

    Raises:
        BodyError: Naming the first field that is wrong, and saying all of them. No value that was sent is repeated.
    """
    try:
        return kind.model_validate_json(raw or b"{}")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        first, *others = found
        message = "; ".join([_say(first), *(f"{_dotted(one['loc'])}: {_say(one)}" for one in others)])
        raise BodyError(_dotted(first["loc"]), message) from error


def _say(error: ErrorDetails) -> str:
    return PLAINER.get(error["type"], error["msg"])


def _dotted(place: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in place)
