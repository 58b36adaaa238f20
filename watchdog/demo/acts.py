"""The acts of the story, in order: baseline, release, what comes of it, and the rest of the communication plan."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from watchdog.demo.before import Systems
from watchdog.demo.daemon import DemoDaemon
from watchdog.demo.outcome import ended, proposed, settled
from watchdog.demo.release import RELEASE, ReleaseSteps
from watchdog.demo.stack import Stack
from watchdog.doubles.slack import SlackDouble
from watchdog.model.time import Time
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock

FLAG = "migration_reembed_documents_enabled"
HURTS: dict[str, str] = {"schema": "add_compliance_score (required)", "integrity": "reembed_documents"}
"""The change with which the damage of a fault begins."""
CANARY_SHARE = 0.05


class Acts:
    """The acts of the story, in order."""

    def __init__(
        self,
        say: Callable[..., None],
        stack: Stack,
        slack: SlackDouble,
        daemon: DemoDaemon,
        systems: Systems,
        *,
        release: ReleaseSteps,
        certificate: dict[str, Any],
    ) -> None:
        self.say, self.stack, self.slack, self.daemon = say, stack, slack, daemon
        self.systems, self.release, self.certificate = systems, release, certificate
        self.hurt_at: Time | None = None
        self._clock = SystemClock()
        self.watched_since = self._clock.now()
        self._seen: set[tuple[str, str]] = set()

    async def play(self) -> None:
        """Baseline, release, what comes of it, and the rest of the communication plan."""
        self.say("Baseline", "title")
        self.say("guard compliance: probes every 1 s, baseline 20 s, bake 30 s; the plan's clock runs 120 times faster")
        await self.daemon.until("every rule is judged", _judged, 40)
        await asyncio.sleep(20)
        following = asyncio.create_task(self._follow())
        acknowledging = asyncio.create_task(self._acknowledge())
        try:
            await self._go_out()
            await self._outcome()
        finally:
            for task in (following, acknowledging):
                task.cancel()
            await asyncio.wait({following, acknowledging})

    async def _go_out(self) -> None:
        """The release: T-0, every change, the new code, the flag."""
        self.say("Release", "title")
        names = [change.name for change in self.release.changes()]
        await self.daemon.post(
            "release",
            {
                "id": RELEASE,
                "migrations": names,
                "flags": [FLAG],
                "old_version": "v1",
                "new_version": "v2",
                "protection": "full",
                "certificate": self.certificate,
            },
        )
        self.say("T-0: the baseline is frozen, the first change begins")
        if not await self._apply():
            return
        if self.stack.fault == "stall":
            await self._stall()
            return
        if self.stack.fault == "canary":
            await self._canary()
            return
        await self.stack.stop_service()
        await self.stack.start_service("v2")
        await self.release.enable_flag()
        self.say("new code v2 is out, its flag is on")
        if self.stack.fault in {"flag", "latency", "connections"}:
            self.hurt_at = self._clock.now()
        await self._arm()

    async def _arm(self) -> None:
        if not (await self.daemon.get())["incident"]:
            await self.daemon.post("arm")
            self.say("armed: baking for 30 s")

    async def _canary(self) -> None:
        """The new version gets one request in twenty, and fails all of them as soon as its flag is on."""
        await self.stack.start_canary("v2", CANARY_SHARE)
        self.say(f"new code v2 is out as a canary with {CANARY_SHARE:.0%} of the traffic, v1 answers the rest")
        await self.release.enable_flag()
        self.hurt_at = self._clock.now()
        self.say("its flag is on")
        await self._arm()

    async def _stall(self) -> None:
        """A report holds a table open, a change made by hand waits for it, and everybody queues behind that."""
        async with await psycopg.AsyncConnection.connect(self.stack.admin_url, application_name="report") as report:
            await report.execute("SELECT count(*) FROM assessments")
            self.say("a report reads assessments and leaves its transaction open")
            self.say("somebody adds a column to assessments by hand, without a timeout for its lock")
            self.hurt_at = self._clock.now()
            try:
                await self.release.by_hand()
            except psycopg.Error as error:
                self.say(f"the change by hand ended: {str(error).strip()}")

    async def _apply(self) -> bool:
        """Every change, as long as none is refused; whether the new code may go out."""
        for change in self.release.changes():
            try:
                await change.run()
            except (WatchdogError, psycopg.Error) as error:
                self.say(f"{change.name} is not applied: {error}")
                self.say("the team's pipeline ends here: no further change, no new code")
                return False
            self.say(f"applied {change.name}")
            if change.name == HURTS.get(self.stack.fault):
                self.hurt_at = self._clock.now()
        if (await self.daemon.get())["incident"]:
            self.say("an incident is open, so the new code stays where it is")
            return False
        return True

    async def _outcome(self) -> None:
        fault = self.stack.fault
        if fault == "none":
            await self.daemon.until("the release has baked", lambda view: view["release"]["state"] == "reversible", 60)
            return
        if fault == "elsewhere":
            await asyncio.sleep(5)
            self.say("the rating service, which is somebody else's, begins to fail")
            self.stack.rating.failing = 1.0
            self.hurt_at = self._clock.now()
            await self.daemon.until("people are asked", proposed, 120)
            self.stack.rating.failing = 0.0
            self.say("the rating service works again; ana.responder denies the data rung in Slack")
            await self._press("deny")
        await self.daemon.until("the run has ended", ended, 180)
        await self.daemon.until("every notice has its outcome", settled, 90)

    async def _acknowledge(self) -> None:
        """A person presses Acknowledge as soon as the alarm is there."""
        ts, button = await self.slack.wait_for(lambda double: _button(double, "ack"), 600)
        await asyncio.sleep(2)
        await self.slack.press("incidents", ts, button, "ana.responder")

    async def _press(self, action: str) -> None:
        ts, button = await self.slack.wait_for(lambda double: _button(double, action), 20)
        await self.slack.press("incidents", ts, button, "ana.responder")

    async def _follow(self) -> None:
        """Shows the thread in Slack as it grows."""
        while True:
            for channel in ("incidents", "stakeholders"):
                for message in self.slack.messages(channel):
                    if (channel, message.ts) not in self._seen:
                        self._seen.add((channel, message.ts))
                        reply = message.thread_ts not in {None, message.ts}
                        text = message.text.replace("\n", " · ")
                        self.say(f"  ↳ {text}" if reply else f"#{channel}: {text}")
            await asyncio.sleep(0.3)


def _judged(view: dict[str, Any]) -> bool:
    return all(rule["verdict"] != "not judged yet" for rule in view["rules"])


def _button(double: SlackDouble, action: str) -> tuple[str, str] | None:
    """The message that offers this button now, and the button's whole id."""
    for message in double.messages("incidents"):
        for block in message.blocks:
            for element in block.get("elements", []):
                found = str(element.get("action_id", ""))
                if found.partition(".")[0] == action:
                    return message.ts, found
    return None
