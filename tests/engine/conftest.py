import sys
from pathlib import Path

# Helper modules are imported as `tests.engine.…`, the name that mypy knows them by.
sys.path.insert(0, str(Path(__file__).parents[2]))
