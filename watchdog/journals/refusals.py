"""When an append is refused: the same for every journal."""

from watchdog.ports.errors import FencedError, JournalConflictError


def refuse_stale(place: str, *, held: int, epoch: int) -> None:
    """Raises FencedError unless `epoch` is the one that holds the stream; 0 means that nobody does."""
    if not held:
        raise FencedError(f"{place} has no holder yet: claim it before writing.")
    if held != epoch:
        raise FencedError(
            f"{place} is held by epoch {held}, so epoch {epoch} may not write: stop this process, another took over."
        )


def refuse_conflict(place: str, *, last: int, after: int) -> None:
    """Raises JournalConflictError unless the stream ends where the writer believes."""
    if last != after:
        raise JournalConflictError(f"{place} ends at {last}, not at {after}: reload it and decide again.")
