from dataclasses import replace

import pytest

from tests.engine.climb import CERTIFICATE, RELEASE, SCHEMA, SETTINGS, Climb, breach, evidence, judged, ladder
from watchdog.engine.wording import header, render, status, tell, topic
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.communication import Audience, Notice
from watchdog.model.guards import Guard, GuardSettings, NoticeRecord, RunOutcome
from watchdog.model.playbooks import Autonomy
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Recovery

FLAG = RungKind.FLAG
UNPROVEN = replace(CERTIFICATE, restored=False)
STEP = "shop-1-run/flag/flag off"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ev.RuleJoined("errors", evidence("errors"), FLAG), "Also in breach: errors is wrong"),
        (ev.ProofFound("k", "it did"), "Evidence that the release did it: it did"),
        (ev.RungEntered(FLAG, 0, 10 * SECOND), "Rung *flag* begins, about 10 s expected"),
        (ev.RungEntered(FLAG, 0, SECOND, "asked"), "Rung *flag* begins (asked), about 1.0 s expected"),
        (ev.RungSkipped(FLAG, 0, "no flag"), "Rung *flag* is passed over: no flag"),
        (ev.RungObserved(FLAG, 0, "would"), "Rung *flag* only observes: would"),
        (ev.StepSucceeded(STEP), "Done: flag off (rung flag)"),
        (ev.StepSucceeded(STEP, "2 flags"), "Done: flag off (rung flag) — 2 flags"),
        (ev.StepFailed(STEP, "down"), "Failed, nothing was changed: flag off (rung flag) — down"),
        (ev.StepUnknown(STEP, "?"), "UNKNOWN whether this took effect: flag off (rung flag) — ?"),
        (ev.RungJudged(FLAG, Recovery.RECOVERED, reason="well"), "After rung *flag*: recovered (well)"),
        (ev.RungJudged(FLAG, Recovery.UNDECIDED, reason="open"), "After rung *flag*: not recovered (open)"),
        (ev.RunEnded(RunOutcome.RECOVERED), "The run ended: recovered. "),
        (
            ev.RunEnded(RunOutcome.EXHAUSTED, "no rung is left"),
            "The run ended: no rung left, not recovered. no rung is left. A person is needed.",
        ),
        (
            ev.RungProposed(FLAG, 0, "doubt", 0),
            "Rung *flag* waits for a person: doubt. Approve or deny; it will not act by itself.",
        ),
        (ev.ProposalEscalated(FLAG), "Nobody has answered: rung *flag* still waits for a person."),
        (ev.TriggerJoined("ann", "it hurts", FLAG), "ann triggered as well: it hurts"),
        (ev.Acknowledged("ann"), "ann has it."),
        (ev.Approved(FLAG, "ann"), "ann approved rung *flag*."),
        (ev.Denied(FLAG, "ann"), "ann denied rung *flag*."),
        (ev.HoldSet("ann", "wait"), "ann put it on hold: wait"),
        (ev.HoldReleased("ann"), "The hold was released by ann."),
        (ev.Resolved("ann"), "Resolved by ann"),
        (ev.Resolved("ann", "fine"), "Resolved by ann: fine"),
        (
            ev.ReleaseStarted(RELEASE),
            (
                "Release r1 starts (add_score); protection full. "
                "Certificate c1: the rollback was rehearsed in 2.0 s; the old code is compatible."
            ),
        ),
        (
            ev.ReleaseStarted(replace(RELEASE, migrations=(), certificate=None)),
            (
                "Release r1 starts (no migration); protection full. "
                "It has no certificate: its data is not rolled back without a person."
            ),
        ),
        (
            ev.ReleaseStarted(replace(RELEASE, certificate=UNPROVEN)),
            (
                "Release r1 starts (add_score); protection full. "
                "Certificate c1 proves nothing: the rollback did not restore everything."
            ),
        ),
        (
            ev.ReleaseStarted(replace(RELEASE, certificate=replace(UNPROVEN, findings=("a row is lost", "x")))),
            "Release r1 starts (add_score); protection full. Certificate c1 proves nothing: a row is lost.",
        ),
        (ev.BaselineRefused("too short"), "No baseline: too short. Rules that compare with it have no data."),
        (
            ev.RuleUnarmed("errors", evidence("errors")),
            "Rule errors was in breach before the release and is not armed: errors is wrong",
        ),
        (ev.RuleArmed("errors"), "Rule errors is well now and armed."),
        (ev.Armed(0), "Every change is out: baking for 10 min."),
        (ev.BakeEnded(), "The release has baked without harm. A rollback is by hand from here on."),
        (ev.Frozen("ann", "drill"), "ann froze shop: drill. Nothing acts until it is thawed."),
        (ev.Unfrozen("ann"), "ann thawed shop."),
        (ev.ClockStepped(1), ""),
        (ev.StepIntended(STEP, 1), ""),
    ],
)
def test_each_event_has_its_sentence(event: ev.Event, text: str) -> None:
    assert tell(Guard(SETTINGS), event).rstrip() == text.rstrip()


def test_a_bake_in_which_something_happened_was_not_without_harm() -> None:
    climb = Climb()
    climb.breached()
    climb.after_flag_recovers()
    climb.say(inputs.Resolve("ann"))
    climb.wait(SETTINGS.bake)
    told = [one.notice.text for one in climb.guard.notices.values() if one.notice.topic == "BakeEnded"]
    assert told == ["The bake is over. A rollback is by hand from here on."]


def test_topics_are_short() -> None:
    assert topic(ev.StepFailed(STEP, "")) == "step"
    assert topic(ev.RungSkipped(FLAG, 0, "")) == "rung"
    assert topic(ev.Acknowledged("ann")) == "Acknowledged"


def breached(settings: GuardSettings = SETTINGS) -> Climb:
    climb = Climb(settings)
    climb.breached(proof=SCHEMA)
    return climb


def rendered(
    climb: Climb,
    beat: str = "detected",
    audience: Audience = Audience.RESPONDERS,
    incident: str = "shop-1",
    text: str = "",
) -> str:
    notice = Notice("shop-1#1", incident, beat, audience, "incidents", climb.now, text, header=beat == "header")
    return render(climb.guard, NoticeRecord(notice), climb.now)


def test_a_text_that_is_fixed_is_said_as_it_is() -> None:
    assert rendered(breached(), text="Done.") == "Done."


def test_the_head_says_what_hurts_where_the_ladder_stands_and_who_has_it() -> None:
    climb = breached()
    climb.say(inputs.Acknowledge("ann"))
    climb.say(inputs.SetHold("ben", "wait for the backup"))
    assert rendered(climb, "header").splitlines() == [
        "*shop: rolling back, rung flag*",
        "errors is wrong",
        "Release r1 (baking)",
        "Acknowledged by ann",
        "On hold by ben: wait for the backup",
    ]


def test_the_head_of_a_trigger_names_who_and_why() -> None:
    climb = Climb()
    climb.say(inputs.Freeze("ann", "drill"))
    climb.say(inputs.Trigger("ann", "it hurts"))
    assert header(climb.guard, climb.incident).splitlines() == ["*shop: issue detected*", "Triggered by ann: it hurts"]


def test_the_status_follows_the_climb() -> None:
    climb = breached()
    seen = [status(climb.incident)]
    climb.steps()
    seen.append(status(climb.incident))
    climb.say(inputs.SetHold("ann", "wait"))
    climb.now += 5 * SECOND
    climb.say(judged(Recovery.STILL_BROKEN))
    seen.append(status(climb.incident))
    climb.say(inputs.ReleaseHold("ann"))
    climb.after(Recovery.RECOVERED)
    seen.append(status(climb.incident))
    climb.say(inputs.Resolve("ann"))
    seen.append(status(climb.incident))
    assert seen == [
        "rolling back, rung flag",
        "rung flag done, watching whether it helped",
        "issue detected, rollback initiated",
        "recovered after 10 s",
        "resolved — recovered",
    ]


def test_the_status_of_what_waits_and_of_what_did_not_help() -> None:
    waiting = breached(replace(SETTINGS, playbook=ladder(Autonomy.PROPOSE)))
    assert status(waiting.incident) == "rung flag waits for a person"
    waiting.say(inputs.Abort("ann", "enough"))
    assert status(waiting.incident) == "aborted"
    frozen = Climb()
    frozen.say(inputs.Freeze("ann", "drill"))
    frozen.breached()
    frozen.say(inputs.Resolve("ann"))
    assert status(frozen.incident) == "resolved"


def test_the_status_of_a_climb_between_two_rungs_names_no_rung_that_is_not_there() -> None:
    climb = breached()
    run = replace(climb.run, position=99)
    assert status(replace(climb.incident, run=run)) == "rolling back, rung none"


def test_the_first_word_says_what_this_guard_does() -> None:
    assert rendered(breached()) == "Issue detected, rollback initiated. errors is wrong"
    watching = breached(replace(SETTINGS, playbook=ladder(Autonomy.OBSERVE)))
    assert rendered(watching) == "Issue detected; this guard only observes. errors is wrong"
    frozen = Climb()
    frozen.say(inputs.Freeze("ann", "drill"))
    frozen.breached()
    assert rendered(frozen) == "Issue detected; ann froze shop, so nothing acts. errors is wrong"


def test_responders_hear_where_it_stands() -> None:
    climb = breached()
    climb.now += 5 * MINUTE
    assert rendered(climb, "stakeholders") == "Rolling back, rung flag, 5 min after detection. errors is wrong"
    climb.after_flag_recovers()
    assert rendered(climb, "post-mortem").startswith(
        "Post-mortem of shop-1 is to be scheduled: recovered after 5 min 5 s, 1 steps done, "
    )
    frozen = Climb()
    frozen.say(inputs.Freeze("ann", "drill"))
    frozen.breached()
    assert "0 steps done" in rendered(frozen, "post-mortem")


def test_others_hear_in_plain_words_and_no_details() -> None:
    climb = breached()
    climb.now += 5 * MINUTE
    assert rendered(climb, "stakeholders", Audience.STAKEHOLDERS) == (
        "shop is impaired since 5 min: rolling back, rung flag. The team is working on it."
    )
    assert rendered(climb, "customers", Audience.CUSTOMERS) == "shop is impaired since 5 min. We are working on it."
    climb.after_flag_recovers()
    assert rendered(climb, "customers", Audience.CUSTOMERS) == (
        "shop was impaired for 5 min 5 s and works again. The release was taken back (recovered after 5 min 5 s)."
    )


def test_what_a_person_resolved_is_over_and_nobody_works_on_it() -> None:
    climb = breached()
    climb.now += 2 * MINUTE
    climb.say(inputs.Resolve("ann"))
    climb.now += 30 * MINUTE
    assert rendered(climb, "customers", Audience.CUSTOMERS) == "shop was impaired for 2 min. The incident is over."


def test_an_incident_that_another_has_followed_is_told_from_what_is_kept() -> None:
    climb = breached()
    climb.after_flag_recovers()
    climb.now += MINUTE
    climb.say(judged(errors=breach()))
    assert climb.incident.id == "shop-2"
    assert rendered(climb, "header") == "*shop: resolved — recovered*\nshop-1 lasted 5.0 s."
    assert rendered(climb, "post-mortem") == "Post-mortem: shop-1 is over after 5.0 s (recovered)."
    assert rendered(climb, "customers", Audience.CUSTOMERS) == ("shop was impaired for 5.0 s. That incident is over.")
    assert rendered(climb, "customers", Audience.CUSTOMERS, "shop-0") == "shop-0: customers. It is over."
