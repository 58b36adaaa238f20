"""A leader in a process of its own, to be killed or frozen: runs one step when told to.

Arguments: url of the database, step id, epoch, where to pause (`effect`: inside the transaction until a second line
comes; `none`). Says `ready`, `in effect`, and `done: …` or `failed: …`.
"""

import asyncio
import sys

import stamina

from tests.actions.conftest import Plain, SteadyClock
from watchdog.model.time import SECOND
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import WatchdogError
from watchdog.targets.fence import run_fenced
from watchdog.targets.postgres import Connection, PostgresOptions, PostgresTarget


async def main(url: str, step_id: str, epoch: str, pause: str) -> None:
    clock = SteadyClock()
    target = PostgresTarget("main", PostgresOptions(url=Plain(url)))

    async def effect(connection: Connection) -> str:
        await connection.execute("INSERT INTO effects VALUES (%s)", (step_id,))
        if pause == "effect":
            print("in effect", flush=True)  # noqa: T201 - read by the test
            await asyncio.to_thread(sys.stdin.readline)
        await connection.execute("UPDATE effects SET step = step WHERE step = %s", (step_id,))
        return "inserted"

    stamina.instrumentation.set_on_retry_hooks([])  # it would log to where the test reads
    print("ready", flush=True)  # noqa: T201 - read by the test
    await asyncio.to_thread(sys.stdin.readline)
    context = StepContext("compliance", "run-1", step_id, int(epoch), clock.now() + 20 * SECOND, clock)
    try:
        print("done:", await run_fenced(target, context, effect), flush=True)  # noqa: T201 - read by the test
    except WatchdogError as error:
        print("failed:", type(error).__name__, flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
