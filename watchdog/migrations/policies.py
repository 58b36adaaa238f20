"""What wins when users wrote what the script had written too: the conflict policy, by table. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from watchdog.migrations.shape import Name
from watchdog.ports.errors import WatchdogError


class PolicyError(WatchdogError):
    """A policy that cannot be meant."""

    exit_status = 2


class Policy(StrEnum):
    """What a rollback does with a row whose value the script changed, and users changed again.

    A row that users deleted is no conflict: it stays deleted.
    """

    LATER = "later"
    """The users' value stays. The row as it was before the script is kept beside, in the conflicts of the run."""
    EARLIER = "earlier"
    """The value of before comes back, other values of the row stay. The users' row is kept beside."""
    QUARANTINE = "quarantine"
    """The whole row comes back as before, and the users' row waits in quarantine."""


Policies = Mapping[str, Policy]
"""By table, as `schema.name`."""


def policy_of(policies: Policies, name: Name) -> Policy:
    """What holds for a table, by its name before the script; without a word of it the later write wins."""
    return policies.get(".".join(name), Policy.LATER)


def insist_on_tables(policies: Policies, names: Iterable[Name]) -> None:
    """Raises PolicyError when a policy is for none of these tables."""
    there = {".".join(name) for name in names}
    if missing := sorted(set(policies) - there):
        raise PolicyError(f"--policy {missing[0]}=…: there is no such table; say it by its name before the script.")


def parse_policies(texts: Iterable[str]) -> dict[str, Policy]:
    """`public.users=earlier`, several of them; a table without a schema is in `public`.

    Raises:
        PolicyError: One is none of these, or a table has two.
    """
    found: dict[str, Policy] = {}
    for text in texts:
        table, _, word = text.rpartition("=")
        if not table or word not in set(Policy):
            raise PolicyError(f"--policy {text}: say it as public.users=later, =earlier or =quarantine.")
        name = table if "." in table else f"public.{table}"
        if name in found:
            raise PolicyError(f"--policy {text}: {name} has a policy already; say one for each table.")
        found[name] = Policy(word)
    return found
