"""A script's steps as work that is watched and archived like a tool's."""

from dataclasses import dataclass

import psycopg

from watchdog.migrations.refusals import written
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.progress import Tell
from watchdog.migrations.safe.run import DEFAULTS, Runner, unheard
from watchdog.migrations.safe.values import Forms
from watchdog.migrations.shape import Name, Shape
from watchdog.migrations.tools.address import Address
from watchdog.migrations.tools.process import Ended, Hear
from watchdog.ports.errors import WatchdogError


@dataclass(frozen=True)
class BySteps:
    """A script in safe forms.

    Attributes:
        text: As it was given.
        forms: Its steps; None for a run that goes on with what stands in its journal.
    """

    text: str
    forms: Forms | None
    limits: Limits = DEFAULTS
    tell: Tell = unheard
    called: str = "The script"
    short: str = "the script in safe forms"
    version_tables: tuple[str, ...] = ()

    def writes(self, shape: Shape) -> frozenset[Name]:
        """Tables that the script names as written, and those that a delete there reaches by foreign keys."""
        said, deleted = written(self.text)
        found = {table.name for table in shape.tables if {table.name, ("", table.name[1])} & said}
        reached = {table.name for table in shape.tables if {table.name, ("", table.name[1])} & deleted}
        while more := {k.child for k in shape.foreign_keys if k.parent in reached and k.on_delete in "cnd"} - reached:
            reached |= more
        return frozenset(found | reached)

    async def run(self, address: Address, number: int, hear: Hear) -> Ended:  # noqa: ARG002 - progress is told instead
        """Runs the steps in a session of its own."""
        try:
            async with await psycopg.AsyncConnection.connect(address.values["url"], autocommit=True) as connection:
                runner = Runner(connection, number, self.limits, self.tell if number else unheard)
                await (runner.go_on() if self.forms is None else runner.go(self.forms))
        except psycopg.Error as error:
            return Ended(1, plain(error))
        except WatchdogError as error:
            return Ended(1, str(error))
        return Ended(0, "")
