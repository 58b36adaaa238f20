"""Composite rules: what several rules say together."""

from collections.abc import Mapping

from watchdog.model.rules import CompositeRule
from watchdog.model.signals import Cause
from watchdog.model.time import Time
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, Recheck, Recovery, Verdict


def judge_composite(rule: CompositeRule, verdicts: Mapping[str, Verdict], now: Time) -> Verdict:
    """In breach when enough of its rules are; confident when enough of them are confidently.

    Without data of so many that the others cannot tell, there is no data.
    """
    # A rule that is not judged for this release, or in this phase, is not in breach.
    members = {name: verdicts[name] for name in rule.of if name in verdicts}
    broken = {name: one for name, one in members.items() if isinstance(one, Breach)}
    unknown = [name for name, one in members.items() if not isinstance(one, Ok | Breach)]
    numbers = (("in_breach", float(len(broken))), ("needed", float(rule.least)), ("rules", float(len(rule.of))))
    said = "; ".join(f"{name}: {one.evidence.sentence}" for name, one in broken.items())
    sentence = f"{len(broken)} of {len(rule.of)} rules are in breach, {rule.least} are needed"
    sentence += f" ({said})" if said else ""
    firm = [name for name, one in broken.items() if one.evidence.basis is Basis.CONFIDENT]
    basis = Basis.CONFIDENT if len(firm) >= rule.least else Basis.LITERAL
    if len(broken) >= rule.least:
        return Breach(Evidence(rule.name, now, sentence, basis, numbers))
    if len(broken) + len(unknown) >= rule.least:
        return NoData(Cause.NOT_YET, f"{rule.name}: no data of {', '.join(unknown)}")
    return Ok(Evidence(rule.name, now, sentence, Basis.LITERAL, numbers))


def recheck_composite(rule: CompositeRule, checks: Mapping[str, Recheck]) -> Recheck:
    """Well again when too few of its rules can be broken still; broken when enough of them are."""
    found = [checks[name] for name in rule.of if name in checks]
    broken = sum(one.outcome is Recovery.STILL_BROKEN for one in found)
    well = sum(one.outcome is Recovery.RECOVERED for one in found)
    sentence = "; ".join(f"{one.rule}: {one.sentence}" for one in found)
    if broken >= rule.least:
        return Recheck(rule.name, Recovery.STILL_BROKEN, sentence)
    if len(rule.of) - well < rule.least:
        return Recheck(rule.name, Recovery.RECOVERED, sentence)
    return Recheck(rule.name, Recovery.UNDECIDED, sentence)
