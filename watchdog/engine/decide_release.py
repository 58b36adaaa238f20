"""Deciding on a release: started, armed, settled, disarmed."""

from collections.abc import Iterator

from watchdog.engine.refused import RefusedError
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import Guard, ReleaseRecord
from watchdog.model.releases import ReleaseState
from watchdog.model.signals import Cause
from watchdog.model.time import Time
from watchdog.model.verdicts import Breach, NoData, ProbeFailed


def decide_release(
    guard: Guard, given: inputs.StartRelease | inputs.Arm | inputs.Settle | inputs.Disarm, now: Time
) -> Iterator[ev.Event]:
    """Events of what a pipeline or a person says of a release.

    Raises:
        RefusedError: The release is not in a state for it.
    """
    record = guard.release
    if isinstance(given, inputs.StartRelease):
        yield from _start(guard, given)
        return
    if record is None:
        raise RefusedError(f"guard {guard.settings.name} has no release: start one with `watchdog release start`")
    match given:
        case inputs.Arm():
            _expect(record, "armed", ReleaseState.APPLYING)
            _expect_certificate(guard, record)
            yield ev.Armed(now + guard.settings.bake)
        case inputs.Settle(who):
            _expect_no_incident(guard, "settling its release")
            _expect(record, "settled", ReleaseState.REVERSIBLE)
            yield ev.Settled(who)
        case _:
            _expect(record, "disarmed", ReleaseState.APPLYING, ReleaseState.BAKING, ReleaseState.REVERSIBLE)
            yield ev.Disarmed(given.who, given.reason)


def _expect(record: ReleaseRecord, verb: str, *states: ReleaseState) -> None:
    if record.state not in states:
        wanted = " or ".join(states)
        raise RefusedError(f"release {record.release.id} is {record.state}; only one that is {wanted} can be {verb}")


def _expect_certificate(guard: Guard, record: ReleaseRecord) -> None:
    """A guard may ask for proof of the way back before it is trusted to take it."""
    if not guard.settings.needs_certificate:
        return
    certificate = record.release.certificate
    needs = f"guard {guard.settings.name} needs a certificate (needs_certificate)"
    if certificate is None:
        raise RefusedError(
            f"{needs}, and release {record.release.id} has none: rehearse it with `watchdog playbook rehearse`, and"
            " start it with what that writes"
        )
    if not certificate.restored:
        why = next(iter(certificate.findings), "schema and data were not restored")
        raise RefusedError(f"{needs}, and that of release {record.release.id} proves nothing: {why}; rehearse it again")


def _start(guard: Guard, given: inputs.StartRelease) -> Iterator[ev.Event]:
    record = guard.release
    if record is not None and record.watched:
        raise RefusedError(f"release {record.release.id} is still {record.state}: disarm it before starting another")
    _expect_no_incident(guard, "starting a release")
    yield ev.ReleaseStarted(given.release, given.since)
    if given.baseline is None:
        yield ev.BaselineRefused(given.refusal)
    else:
        yield ev.BaselineFrozen(given.baseline)
    for name, verdict in given.verdicts.items():
        if isinstance(verdict, Breach):
            yield ev.RuleUnarmed(name, verdict.evidence)
        elif isinstance(verdict, ProbeFailed) or (isinstance(verdict, NoData) and verdict.cause is not Cause.NOT_YET):
            yield ev.SightLost(name, why_blind(verdict), at_start=True)


def _expect_no_incident(guard: Guard, doing: str) -> None:
    if guard.incident is not None and guard.incident.resolved_at is None:
        raise RefusedError(f"incident {guard.incident.id} is open: resolve it before {doing}")


def why_blind(verdict: NoData | ProbeFailed) -> str:
    """Why there is no data, in one sentence."""
    return verdict.error if isinstance(verdict, ProbeFailed) else verdict.detail or str(verdict.cause)
