from collections.abc import Callable
from dataclasses import replace

from tests.engine.climb import PLAN, SETTINGS, Climb, breach, judged, ladder
from watchdog.model import inputs
from watchdog.model.communication import Audience, Beat, NoticeOutcome, Plan
from watchdog.model.guards import GuardSettings, NoticeRecord
from watchdog.model.playbooks import Autonomy
from watchdog.model.time import HOUR, MINUTE, SECOND


def notices(climb: Climb, topic: str) -> list[NoticeRecord]:
    return [one for one in climb.guard.notices.values() if one.notice.topic == topic]


def only(climb: Climb, topic: str) -> NoticeRecord:
    (record,) = notices(climb, topic)
    return record


def planned(*beats: Beat, clock: float = 1.0) -> GuardSettings:
    return replace(SETTINGS, plan=Plan(beats, clock, "incidents"))


def breached(settings: GuardSettings = SETTINGS) -> Climb:
    climb = Climb(settings)
    climb.breached()
    return climb


def flag_helps_after(climb: Climb, length: int) -> None:
    climb.now += length
    climb.after_flag_recovers()


def test_every_beat_of_the_plan_is_owed_when_an_incident_opens() -> None:
    climb = breached()
    for beat in PLAN.beats:
        notice = only(climb, beat.name).notice
        assert notice.due_at == climb.incident.opened_at + beat.after
        assert (notice.audience, notice.channel, notice.incident) == (beat.audience, beat.channel, "shop-1")
        assert notice.template == beat.name


def test_the_plans_clock_may_run_faster_than_the_wall() -> None:
    climb = breached(planned(Beat("soon", 5 * MINUTE, Audience.STAKEHOLDERS, "incidents", template="t"), clock=60.0))
    assert only(climb, "soon").notice.due_at == climb.now + 5 * SECOND
    assert only(climb, "soon").notice.template == "t"


def test_a_guard_that_only_observes_tells_responders_only() -> None:
    climb = breached(replace(SETTINGS, playbook=ladder(Autonomy.OBSERVE)))
    assert {one.notice.audience for one in climb.guard.notices.values()} == {Audience.RESPONDERS}


def test_what_happens_is_told_in_the_thread_of_the_incident() -> None:
    climb = breached()
    climb.steps()
    told = only(climb, "step").notice
    assert told.text == "Done: flag off (rung flag)"
    assert (told.incident, told.channel, told.due_at) == ("shop-1", "incidents", climb.now)


def test_what_is_about_the_release_belongs_to_no_incident() -> None:
    climb = breached()
    climb.say(inputs.Freeze("ann", "drill"))
    frozen = only(climb, "Frozen").notice
    assert frozen.incident == ""
    assert frozen.id.startswith("shop#")


def test_notices_are_numbered_through() -> None:
    climb = breached()
    climb.steps()
    numbers = [int(name.rpartition("#")[2]) for name in climb.guard.notices]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_older_head_of_the_thread_is_superseded_by_a_newer_one() -> None:
    climb = breached()
    climb.say(inputs.Acknowledge("ann"))
    heads = notices(climb, "header")
    assert [one.outcome for one in heads[:-1]] == [NoticeOutcome.SUPERSEDED] * (len(heads) - 1)
    assert heads[-1].outcome is None


def test_a_head_that_is_being_sent_is_not_superseded() -> None:
    climb = breached()
    head = next(one for one in notices(climb, "header") if one.outcome is None)
    climb.say(inputs.BeginNotice(head.notice.id, "text"))
    climb.say(inputs.Acknowledge("ann"))
    assert climb.guard.notices[head.notice.id].outcome is None


def test_the_head_of_another_thread_supersedes_nothing() -> None:
    climb = breached()
    climb.after_flag_recovers()
    climb.say(judged(errors=breach()))
    first = [one for one in notices(climb, "header") if one.notice.incident == "shop-1"]
    assert first[-1].outcome is None


def test_a_beat_without_a_channel_is_skipped_when_it_is_due() -> None:
    climb = breached()
    climb.wait(15 * MINUTE - 1)
    assert only(climb, "status page").outcome is None
    climb.wait(1)
    record = only(climb, "status page")
    assert (record.outcome, record.detail) == (NoticeOutcome.SKIPPED, "no channel configured")


def test_customers_hear_of_a_long_impact_only() -> None:
    short = breached()
    flag_helps_after(short, MINUTE)
    short.wait(30 * MINUTE)
    assert only(short, "customers").detail == "the impact lasted 65 s, not 5 min"
    long = breached()
    long.wait(30 * MINUTE)
    assert only(long, "customers").outcome is None


def test_the_impact_is_over_when_a_person_resolves_the_incident() -> None:
    climb = breached()
    climb.wait(2 * MINUTE)
    climb.say(inputs.Resolve("ann", "false alarm"))
    climb.wait(28 * MINUTE)
    assert only(climb, "customers").outcome is NoticeOutcome.SKIPPED


def test_the_impact_of_an_incident_that_a_newer_one_has_followed_counts_by_itself() -> None:
    climb = breached()
    flag_helps_after(climb, MINUTE)
    climb.now += MINUTE
    climb.say(judged(errors=breach()))
    climb.wait(30 * MINUTE)
    first, second = notices(climb, "customers")
    assert first.outcome is NoticeOutcome.SKIPPED
    assert second.outcome is None


def unsaid(end: Callable[[Climb], None]) -> str:
    """Why a beat that is said only while it hurts is not said."""
    climb = breached(planned(Beat("hurts", 10 * MINUTE, Audience.STAKEHOLDERS, "incidents", if_recovered=False)))
    end(climb)
    climb.wait(HOUR)
    return only(climb, "hurts").detail


def test_a_beat_may_be_said_only_while_it_hurts() -> None:
    assert unsaid(lambda climb: climb.after_flag_recovers()) == "recovered before it was due"
    assert unsaid(lambda climb: climb.tell(inputs.Resolve("ann"))) == "resolved before it was due"
    assert unsaid(lambda _: None) == ""


def test_a_beat_named_like_an_event_does_not_answer_for_it() -> None:
    climb = breached(planned(Beat("step", HOUR, Audience.RESPONDERS, "incidents", impact_over=HOUR)))
    climb.steps()
    assert [one.outcome for one in notices(climb, "step")] == [None, None]
