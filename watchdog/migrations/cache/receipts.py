"""Receipts of steps, beside the keys that they changed; asking for one takes the fence."""

from watchdog.migrations.cache.file import OURS
from watchdog.migrations.cache.store import Store

_KEPT_S = 30 * 86_400


async def receipt(store: Store, step: str) -> str | None:
    """What a step has said of its effect; None when it has not had it.

    Raises:
        FencedError: Somebody with a higher epoch acts.
        WatchdogError: Redis refuses or does not answer.
    """
    return await _asked(store, step, "") or None


async def leave_receipt(store: Store, step: str, detail: str) -> str:
    """Writes a step's receipt; answers with it, or with the one that was there first. Raises as `receipt`."""
    return await _asked(store, step, detail)


async def _asked(store: Store, step: str, detail: str) -> str:
    _, said = await store.call("receipt", 0, "", [f"{OURS}receipt:{step}"], detail, _KEPT_S)
    return str(said.decode())
