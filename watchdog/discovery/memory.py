"""What was seen last, in a file: so that a release which went out while nobody looked is found too."""

import json
from pathlib import Path

import cattrs
import structlog
from cattrs.preconf.json import make_converter

from watchdog.discovery.changes import Reading

log = structlog.get_logger(__name__)

_CONVERTER = make_converter()


class Memory:
    """One file a target; names of versions are all that it holds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Reading | None:
        """What was kept; None when there is nothing that can be read, so that the next look starts anew."""
        try:
            return _CONVERTER.structure(json.loads(self._path.read_bytes()), Reading)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, cattrs.BaseValidationError) as error:
            log.warning("what was seen last cannot be read", path=str(self._path), error=type(error).__name__)
            return None

    def keep(self, reading: Reading) -> None:
        """Replaces what was kept.

        Raises:
            OSError: The file cannot be written.
        """
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(_CONVERTER.unstructure(reading)), encoding="utf-8")
        beside.replace(self._path)
