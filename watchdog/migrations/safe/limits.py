"""How hard a run in steps may press on a database."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a run.

    Attributes:
        lock_seconds: How long a step waits for a lock; everybody queues behind it for that long.
        batch_lock_seconds: The same for a batch, which holds rows that users may want.
        build_seconds: How long building an index waits for older transactions; nobody queues behind that.
        tries: How often a step is tried that did not get its locks.
        pause_seconds: Between two tries.
        batch_rows: Rows of the first batch.
        batch_seconds: How long a batch should take; later ones are made to fit.
        rest: Pause between two batches, as a part of what the last one took.
        replica_seconds: Above this lag of any replica the next batch waits.
        replica_bytes: The same for write-ahead log that a replica has not replayed.
        dead_ratio: Above this share of dead rows in the table, it is vacuumed before the next batch.
        dead_rows: Below so many dead rows it never is.
        patience_seconds: How long a batch waits for replicas before the run fails.
    """

    lock_seconds: float = 2.0
    batch_lock_seconds: float = 0.5
    build_seconds: float = 600.0
    tries: int = 30
    pause_seconds: float = 1.0
    batch_rows: int = 1_000
    batch_seconds: float = 0.2
    rest: float = 0.5
    replica_seconds: float = 10.0
    replica_bytes: int = 512 * 2**20
    dead_ratio: float = 0.2
    dead_rows: int = 50_000
    patience_seconds: float = 1_800.0
