"""The service team's own tool: `python -m watchdog.demo.apply_release` applies every change of the release.

Addresses come from the environment: COMPLIANCE_MIGRATOR_URL, COMPLIANCE_SCRATCH_URL, COMPLIANCE_NEO4J_URL,
COMPLIANCE_NEO4J_PASSWORD, COMPLIANCE_FAULT. The rehearsal runs it on the scratch copy.
"""

import asyncio
import os
import sys
from typing import cast

from watchdog.demo.release import FAULTS, Fault, ReleaseSteps, graph_target


async def apply() -> None:
    """Applies the whole release, without pauses."""
    fault = FAULTS[FAULTS.index(cast("Fault", os.environ["COMPLIANCE_FAULT"]))]
    graph = graph_target(os.environ["COMPLIANCE_NEO4J_URL"], os.environ["COMPLIANCE_NEO4J_PASSWORD"])
    try:
        scratch = os.environ["COMPLIANCE_SCRATCH_URL"]
        await ReleaseSteps(os.environ["COMPLIANCE_MIGRATOR_URL"], graph, scratch, fault, pause_s=0).apply_all()
    finally:
        await graph.close()


if __name__ == "__main__":
    asyncio.run(apply())
    sys.exit(0)
