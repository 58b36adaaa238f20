"""What `watchdog migration` does for stores other than PostgreSQL's tables and graphs: Redis keys and vectors.

Each function answers whether the address, file or run was one of these; if not, nothing was done.
"""

from pathlib import Path

from watchdog.cli import migration_cache, migration_vectors


def apply_elsewhere(url: str, file: Path, *, name: str, release: str, as_json: bool, **options: object) -> bool:
    """Applies a file to Redis, or a file of vectors; `options` mean nothing for either and are refused."""
    if migration_cache.is_cache(url):
        migration_cache.refuse_options(**options)
        migration_cache.apply_to_cache(url, file, name=name, release=release, as_json=as_json)
    elif migration_vectors.is_vectors(file):
        migration_vectors.refuse_options(**options)
        migration_vectors.apply_to_vectors(url, file, name=name, release=release, as_json=as_json)
    else:
        return False
    return True


def take_back_elsewhere(url: str, run: int, *, as_json: bool) -> bool:
    """Takes back a run of Redis keys or of vectors."""
    if migration_cache.is_cache(url):
        migration_cache.take_back_from_cache(url, run, as_json=as_json)
    elif migration_vectors.is_run_of_vectors(url, run):
        migration_vectors.take_back_from_vectors(url, run, as_json=as_json)
    else:
        return False
    return True


def settle_elsewhere(url: str, run: int | None, *, as_json: bool, **options: object) -> bool:
    """Settles a run of Redis keys or of vectors; no number means all that have expired, which Redis sees to itself."""
    if migration_cache.is_cache(url):
        migration_cache.refuse_options(expired=run is None, **options)
        assert run is not None  # noqa: S101 - refused just now
        migration_cache.settle_on_cache(url, run, as_json=as_json)
    elif run is not None and migration_vectors.is_run_of_vectors(url, run):
        migration_vectors.refuse_options(**options)
        migration_vectors.settle_on_vectors(url, run, as_json=as_json)
    else:
        return False
    return True


def show_runs_elsewhere(url: str, *, as_json: bool) -> bool:
    """Every run of a Redis database. Runs of vectors stand beside the others of their database."""
    if not migration_cache.is_cache(url):
        return False
    migration_cache.show_runs_of_cache(url, as_json=as_json)
    return True
