"""What is wrong with where a guard looks for releases that nobody announced."""

from collections.abc import Mapping

from watchdog.config.configuration import Discover, DiscovererKind
from watchdog.config.problems import one_of, quoted
from watchdog.config.shapes import Place


def check_discover(
    place: Place, discover: Discover, kinds: Mapping[str, str], discoverers: Mapping[str, DiscovererKind]
) -> None:
    """Reports it; roles that are unknown or of a wrong kind are reported elsewhere.

    Args:
        kinds: The kind of the target in each role.
        discoverers: By kind of target.
    """
    if not discover.targets:
        place.at("targets").error("nowhere is looked", _where(kinds, discoverers, ()))
    for position, role in enumerate(discover.targets):
        if role in discover.targets[:position]:
            place.at("targets", position).error(f"{quoted(role)} stands twice", "it once")
    looked = {role: discoverers[kinds[role]] for role in discover.targets if kinds.get(role) in discoverers}
    for key, given in (("tables", discover.tables), ("deployments", discover.deployments)):
        takers = [kind for kind in looked.values() if kind.takes == key]
        if given and not takers:
            taking = tuple(name for name, kind in discoverers.items() if kind.takes == key)
            place.at(key).error("none of the targets has such", _where(kinds, discoverers, taking))
        if not given and any(kind.needed for kind in takers):
            place.at(key).error("is missing", f"`{key}: […]`, the names of those to look at")
    tools = tuple(tool for kind in looked.values() for tool in kind.tools)
    for table, tool in discover.tables.items():
        if tools and tool not in tools:
            place.at("tables", table).error(f"{quoted(tool)} is no tool whose tables are known", one_of(tool, tools))


def _where(kinds: Mapping[str, str], discoverers: Mapping[str, DiscovererKind], wanted: tuple[str, ...]) -> str:
    """A role in which there could be something to see."""
    fitting = [role for role, kind in kinds.items() if kind in (wanted or discoverers)]
    return one_of("", fitting) or f"a target of kind {' or '.join(wanted or discoverers)}"
