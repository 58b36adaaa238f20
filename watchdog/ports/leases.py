"""Who may act now."""

from typing import Protocol


class Lease(Protocol):
    """At most one holder at a time."""

    async def acquire(self) -> None:
        """Becomes the holder.

        Raises:
            JournalHeldError: Somebody else is; names who and where.
        """
        ...

    async def release(self) -> None:
        """Lets go."""
        ...


class FreezeSwitch(Protocol):
    """The brake that works without the daemon."""

    def frozen(self, guard: str) -> tuple[str, str] | None:
        """Who froze this guard (or all) and why; None when acting is allowed."""
        ...

    def freeze(self, guard: str | None, who: str, reason: str) -> None:
        """Freezes one guard, or all."""
        ...

    def unfreeze(self, guard: str | None, who: str) -> bool:
        """Thaws; False when it was not frozen."""
        ...

    def thawed_by(self, guard: str, frozen: tuple[str, str]) -> str | None:
        """Who ended a freeze, which is told by who had made it and why; None when nobody has said."""
        ...
