import pytest

from watchdog.model.playbooks import Playbook, Rung
from watchdog.model.rules import RungKind

SHORT = Playbook("p", "h", (Rung(RungKind.FLAG, ()), Rung(RungKind.CODE, ())))


@pytest.mark.parametrize(
    ("kind", "position"), [(RungKind.STOP, 0), (RungKind.FLAG, 0), (RungKind.CODE, 1), (RungKind.DATA, 2)]
)
def test_a_ladder_is_entered_at_the_first_rung_that_is_strong_enough(kind: RungKind, position: int) -> None:
    assert SHORT.index_of(kind) == position
