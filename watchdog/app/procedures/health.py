"""Application health: every HTTP target of a guard is asked once."""

from watchdog.app.procedures.parts import Part, settled
from watchdog.app.procedures.place import Place
from watchdog.model.time import in_seconds
from watchdog.ports.errors import TargetError
from watchdog.probes.http import HttpOptions
from watchdog.targets.http import HttpTarget

NAME = "health"


async def health_part(where: Place) -> Part:
    """Asks what the guard's `http` probes ask; a target that has none is asked for `/`, and must not say 5xx."""
    wrong: list[str] = []
    fine: list[str] = []
    numbers: dict[str, float] = {}
    for role, target in where.used(HttpTarget).items():
        for path, expected in _asked(where, role):
            began = where.clock.now()
            try:
                answer = await target.request("GET", path)
            except TargetError as error:
                wrong.append(f"{role}{path}: {error}")
                continue
            took = in_seconds(where.clock.now() - began)
            numbers[f"{role}{path}_seconds"] = round(took, 6)
            said = f"{role}{path}: {answer.status} in {took:.3f} s"
            well = answer.status in expected if expected else answer.status < 500
            (fine if well else wrong).append(said)
    unseen = () if fine or wrong else ("the guard has no HTTP target",)
    return settled(NAME, "; ".join(fine), wrong=tuple(wrong), unseen=unseen, numbers=numbers)


def _asked(where: Place, role: str) -> list[tuple[str, tuple[int, ...]]]:
    """Paths with the statuses that are well; none for anything below 500."""
    options = [probe.options for probe in where.guard.probes if probe.kind == "http" and probe.target == role]
    asked = {one.path: one.expect for one in options if isinstance(one, HttpOptions)}
    return list(asked.items()) or [("/", ())]
