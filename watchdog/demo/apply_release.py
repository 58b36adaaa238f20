"""The service team's own tool: `python -m watchdog.demo.apply_release` applies every change of the release.

Addresses come from the environment: COMPLIANCE_MIGRATOR_URL, COMPLIANCE_NEO4J_URL, COMPLIANCE_NEO4J_PASSWORD,
COMPLIANCE_FAULT. The rehearsal runs it on the scratch copy.
"""

import asyncio
import os
import sys
from typing import cast

from neo4j import AsyncGraphDatabase

from watchdog.demo.release import FAULTS, Fault, ReleaseSteps


async def apply() -> None:
    """Applies the whole release, without pauses."""
    fault = FAULTS[FAULTS.index(cast("Fault", os.environ["COMPLIANCE_FAULT"]))]
    address, password = os.environ["COMPLIANCE_NEO4J_URL"], os.environ["COMPLIANCE_NEO4J_PASSWORD"]
    async with AsyncGraphDatabase.driver(
        address, auth=("neo4j", password), notifications_min_severity="OFF", telemetry_disabled=True
    ) as graph:
        await ReleaseSteps(os.environ["COMPLIANCE_MIGRATOR_URL"], graph, fault, pause_s=0).apply_all()


if __name__ == "__main__":
    asyncio.run(apply())
    sys.exit(0)
