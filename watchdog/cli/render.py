"""A guard and an incident as lines for people, out of the API's JSON."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from watchdog.cli.output import say, unstarred, word
from watchdog.discovery.releases import advice_for, is_discovered
from watchdog.model.time import say_span, span

Json = Mapping[str, Any]

VERDICT_WIDTH: Final = 14


def guard_lines(view: Json) -> None:
    """Prints a guard."""
    say(Text(view["guard"], style="bold"), " — ", word(view["state"]))
    if view["frozen"]:
        say("  ", Text("FROZEN", style="bold red"), f" by {view['frozen']['who']}: {view['frozen']['reason']}")
    release_lines(view["release"])
    if view.get("reversibility"):
        reversibility_line(view["reversibility"])
    width = max((len(rule["name"]) for rule in view["rules"]), default=0)
    for rule in view["rules"]:
        held = f" (for {length(rule['pending_seconds'])})" if rule["pending_seconds"] is not None else ""
        unarmed = "" if rule["armed"] else " (not armed: in breach before the release)"
        say(
            "  ",
            word(rule["verdict"], VERDICT_WIDTH),
            rule["name"].ljust(width),
            f"  {rule['sentence']}{held}{unarmed}",
        )
    incident = view["incident"]
    if incident and incident["open"]:
        incident_lines(incident)
    notices = Counter(notice["outcome"] for notice in view["notices"])
    if notices:
        say("  notices: ", ", ".join(f"{count} {outcome}" for outcome, count in sorted(notices.items())))


def release_lines(release: Json | None) -> None:
    """Prints a release."""
    if release is None:
        say("  no release")
        return
    changes = ", ".join(release["migrations"]) or "no migration"
    left = release["bake_left_seconds"]
    baking = f", {length(left)} of the bake left" if left is not None else ""
    say(f"  release {release['id']}, {release['state']} since T-0 at {release['t0']}{baking}")
    say(f"    {changes}; protection {release['protection']}; {_certificate(release['certificate'])}")
    if is_discovered(release["id"], release["protection"]):
        say(Text(f"    {advice_for(release['migrations'])}", style="yellow"))
    if release["baseline"]:
        say(f"    {_baseline(release['baseline'])}")
    if release["baseline_refused"]:
        say(f"    baseline refused: {release['baseline_refused']}")


def _baseline(baseline: Json) -> str:
    days = f", and the same time of {baseline['days']} days before" if baseline["days"] else ""
    return f"baseline of {length(baseline['seconds'])} from {baseline['since']}, {baseline['series']} series{days}"


def reversibility_line(found: Json) -> None:
    """Prints whether a release can still be taken back in time."""
    budget = length(found["budget_seconds"])
    if found["predicted_seconds"] is None:
        back = f"not proven ({found['reason']}), budget {budget}"
    else:
        predicted = length(found["predicted_seconds"])
        back = f"{predicted} predicted, {'within' if found['budget_met'] else 'MORE THAN'} the budget of {budget}"
    kept = ""
    if found["archived_runs"] is not None:
        kept = f"; {found['archived_runs']} of {found['migrations']} migrations archived"
    say("    way back: ", Text(back, style="" if found["budget_met"] else "yellow"), kept)
    if found["past_return"]:
        say(
            Text(
                f"    past return: {found['past_return']} migrations of the release cannot be taken back",
                style="yellow",
            )
        )
    if found["return_until"]:
        say(f"    archives may be dropped from {found['return_until']} on")
    for sentence in found["protection_lowered"]:
        say(Text(f"    protection lowered: {sentence}", style="yellow"))
    if found["backup_age_seconds"] is not None:
        say(f"    last backup of the write-ahead log: {length(found['backup_age_seconds'])} ago")


def _certificate(certificate: Json | None) -> str:
    if certificate is None:
        return "no certificate"
    proven = "shown to restore schema and data" if certificate["restored"] else "shown NOT to restore everything"
    return f"its rollback was {proven}; old code {certificate['old_code']}"


def incident_lines(incident: Json) -> None:
    """Prints an incident."""
    say("  incident ", Text(incident["id"], style="bold"), f": {incident['status']}")
    say(f"    opened {incident['opened_at']} by {incident['opened_by']}, {length(incident['seconds_open'])} long")
    if incident["manual"]:
        say(f"    {incident['reason']}")
    for evidence in incident["evidence"]:
        say(f"    {evidence['rule']}: {evidence['sentence']} ({evidence['basis']})")
    for sentence in incident["proof"].values():
        say(f"    evidence that the release did it: {sentence}")
    for sentence in incident["doubts"].values():
        say(f"    data waits for a person: {sentence}")
    if incident["attribution"]:
        say(f"    looks like {incident['attribution']['origin']}: {incident['attribution']['why']}")
    if incident["acknowledged"]:
        say(f"    acknowledged by {incident['acknowledged']['who']}")
    if incident["hold"]:
        until = f" until {incident['hold']['until']}" if incident["hold"]["until"] else ""
        say(f"    on hold by {incident['hold']['who']}{until}: {incident['hold']['reason']}")
    if incident["run"]:
        run_lines(incident["run"])
    if incident["seconds_to_recover"] is not None:
        say(f"    recovered after {length(incident['seconds_to_recover'])}")


def run_lines(run: Json) -> None:
    """Prints a climb."""
    for rung in run["rungs"]:
        reason = f" ({unstarred(rung['reason'])})" if rung["reason"] else ""
        say(f"    rung {rung['rung']}: ", word(rung["outcome"]), reason)
        for step in run["steps"]:
            if step["rung"] == rung["rung"]:
                detail = f" — {step['detail']}" if step["detail"] else ""
                say(f"      {step['name']}: ", word(step["state"]), f" in {length(step['seconds'])}{detail}")
    proposal = run["proposal"]
    if proposal:
        late = ", nobody has answered in time" if proposal["escalated"] else ""
        say(f"    rung {proposal['rung']} waits for a person since {proposal['since']}{late}")


def event_lines(events: list[Any]) -> None:
    """Prints what happened, in order."""
    for event in events:
        if event["sentence"]:
            say(f"  {event['at']}  {unstarred(event['sentence'])}")


def length(seconds: float) -> str:
    """A length of time as a person says it."""
    return say_span(span(seconds))
