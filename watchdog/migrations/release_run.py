"""What every store says of a run: enough to choose those of a release."""

from typing import Protocol


class ReleaseRun(Protocol):
    """One migration that was applied, in whatever store.

    Attributes:
        state: `applied`, `rolled back`, `settled`; everything else is half way.
        script_hash: SHA-256 of what was applied.
    """

    @property
    def run(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def script_hash(self) -> str: ...
