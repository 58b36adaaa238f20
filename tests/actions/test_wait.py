from tests.actions.conftest import Contexts, Roles, SteadyClock
from watchdog.actions.wait import KIND, WaitOptions
from watchdog.model.time import MILLISECOND
from watchdog.ports.actions import Applied
from watchdog.ports.kinds import Duration


async def test_it_waits_the_whole_length_on_the_given_clock(context: Contexts, clock: SteadyClock) -> None:
    action = KIND.build("", WaitOptions(for_=Duration(50 * MILLISECOND)), Roles())
    began = clock.now()
    assert await action.execute(context()) == "waited 0.1 s"
    assert clock.now() - began >= 50 * MILLISECOND
    assert (await action.verify(context())).applied is Applied.NO


def test_a_wait_for_nothing_is_refused() -> None:
    assert list(KIND.complaints(WaitOptions(for_=Duration(0))))
