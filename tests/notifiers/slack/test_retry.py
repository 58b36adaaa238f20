import pytest

from watchdog.notifiers.slack.retry import MAX_ATTEMPTS, GiveUp, Retry, SlackError, decide


def test_what_certainly_had_no_effect_is_tried_again_ever_later() -> None:
    error = SlackError("refused")

    assert [decide(error, attempt) for attempt in range(1, MAX_ATTEMPTS)] == [Retry(0.5), Retry(1.0)]
    assert decide(error, MAX_ATTEMPTS) == GiveUp(error)


def test_the_wait_that_slack_states_goes_first() -> None:
    assert decide(SlackError("too many", retry_after=17.0), 1) == Retry(17.0)


@pytest.mark.parametrize(
    "error",
    [
        SlackError("lost", uncertain=True),
        SlackError("archived", recoverable=False),
        SlackError("too many", retry_after=31.0),
    ],
)
def test_doubt_refusal_and_long_waits_are_handed_on(error: SlackError) -> None:
    assert decide(error, 1) == GiveUp(error)
