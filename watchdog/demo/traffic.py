"""What one simulated user does: a weighted choice of requests, and the ledger lines that follow from the answers."""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from watchdog.demo import data
from watchdog.demo.data import Sizes
from watchdog.demo.ledger import Line, Store, fingerprint

Answer = tuple[int | None, dict[str, Any]]
"""Status and body; the status is None when there was no answer."""


@dataclass
class Outcome:
    """What came of one request. `error` is None when it went well; the status or the kind of failure otherwise."""

    operation: str
    error: str | None


@dataclass
class Shared:
    """What all users of one load generator have in common."""

    http: aiohttp.ClientSession
    url: str
    sizes: Sizes
    run: str
    workers: int
    write: Callable[[Line], None]
    now: Callable[[], int]
    version: str = "v1"


@dataclass
class User:
    """One closed-loop user. It changes only what no other user changes, so it knows what must be there."""

    shared: Shared
    number: int
    random: random.Random
    _made: deque[tuple[str, int, str]] = field(default_factory=lambda: deque(maxlen=200))
    _sessions: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    _count: int = 0

    async def act(self) -> Outcome:
        """One request, chosen by weight."""
        name = self.random.choices(_NAMES, _WEIGHTS)[0]
        if name == "preferences" and self.shared.version != "v2":
            name = "user"
        status, _ = await OPERATIONS[name][1](self)
        if name == "preferences" and status == 404:
            # The service went back to v1 since we last asked; nothing was promised.
            self.shared.version = "v1"
            return Outcome(name, None)
        return Outcome(name, _error(status))

    async def create_assessment(self) -> Answer:
        """POST /assessments."""
        user, control, score = self._any_user(), self._any_control(), self.random.randrange(101)
        value = {"user_id": user, "control_id": control, "score": score, "note": self._text()}
        answer = await self._send("POST", "/assessments", value)
        status, body = answer
        if _good(status):
            self._made.append((body["id"], user, control))
            self._record("assessments", body["id"], value | {"status": "open"}, status)
        return answer

    async def change_assessment(self) -> Answer:
        """PATCH /assessments/{id}: one of its own."""
        identifier, user, control = self._own_assessment()
        change = {
            "status": self.random.choice(data.STATUSES),
            "score": self.random.randrange(101),
            "note": self._text(),
        }
        answer = await self._send("PATCH", f"/assessments/{identifier}", change)
        self._record("assessments", identifier, change | {"user_id": user, "control_id": control}, answer[0])
        return answer

    async def read_assessment(self) -> Answer:
        """GET /assessments/{id}: a new one of its own, or any of the old ones."""
        if self._made and self.random.random() < 0.3:
            identifier = self.random.choice(self._made)[0]
        else:
            identifier = data.assessment_id(self.random.randrange(self.shared.sizes.assessments) + 1)
        return await self._send("GET", f"/assessments/{identifier}")

    async def search(self) -> Answer:
        """GET /search with one of the fixed queries."""
        return await self._send("GET", "/search", params={"q": self.random.choice(data.QUERIES)})

    async def risks(self) -> Answer:
        """GET /controls/{id}/risks."""
        return await self._send("GET", f"/controls/{self._any_control()}/risks")

    async def user(self) -> Answer:
        """GET /users/{id}, or now and then POST /users."""
        if self.random.random() < 0.75:
            return await self._send("GET", f"/users/{self._any_user()}")
        name = self._text()
        value = {"email": f"{name.replace(' ', '-')}@example.net", "name": name}
        answer = await self._send("POST", "/users", value)
        if _good(answer[0]):
            self._record("users", str(answer[1]["id"]), value, answer[0])
        return answer

    async def session(self) -> Answer:
        """POST /sessions, or GET of one that it opened."""
        if self._sessions and self.random.random() < 0.6:
            return await self._send("GET", f"/sessions/{self.random.choice(self._sessions)}")
        value = {"user_id": self._any_user()}
        answer = await self._send("POST", "/sessions", value)
        if _good(answer[0]):
            self._sessions.append(answer[1]["id"])
            self._record("sessions", answer[1]["id"], value, answer[0])
        return answer

    async def preferences(self) -> Answer:
        """PUT or GET /users/{id}/preferences: of its own share of the users."""
        mine = self.shared.sizes.users // self.shared.workers
        user = self.random.randrange(max(mine, 1)) * self.shared.workers + self.number + 1
        path = f"/users/{min(user, self.shared.sizes.users)}/preferences"
        if user > self.shared.sizes.users or self.random.random() < 0.4:
            return await self._send("GET", path)
        prefs = {"theme": self.random.choice(("light", "dark")), "digest": self.random.randrange(8)}
        answer = await self._send("PUT", path, prefs)
        if answer[0] != 404:
            self._record("preferences", str(user), {"prefs": prefs}, answer[0])
        return answer

    async def create_document(self) -> Answer:
        """POST /documents."""
        number = self.random.getrandbits(48)
        value = {
            "title": data.phrase("new title", number, 4),
            "body": f"{data.phrase('new body', number, 20)} {self._text()}",
            "owner_id": self._any_user(),
        }
        answer = await self._send("POST", "/documents", value | {"control_id": self._any_control()})
        if _good(answer[0]):
            self._record("documents", str(answer[1]["id"]), value, answer[0])
        return answer

    async def _send(
        self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        url = self.shared.url + path
        try:
            async with self.shared.http.request(method, url, json=body, params=params) as response:
                return response.status, await response.json()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return None, {}

    def _record(self, store: Store, key: str, value: Mapping[str, object], status: int | None) -> None:
        self.shared.write(Line(store, key, fingerprint(value), self.shared.now(), _good(status)))

    def _own_assessment(self) -> tuple[str, int, str]:
        if self._made and self.random.random() < 0.5:
            return self.random.choice(self._made)
        workers = self.shared.workers
        i = self.random.randrange(self.shared.sizes.assessments // workers) * workers + self.number + 1
        identifier, user, control, *_ = data.assessment(i, self.shared.sizes)
        return identifier, user, control

    def _any_user(self) -> int:
        return self.random.randrange(self.shared.sizes.users) + 1

    def _any_control(self) -> str:
        return data.control_id(self.random.randrange(self.shared.sizes.controls) + 1)

    def _text(self) -> str:
        self._count += 1
        return f"load {self.shared.run} {self.number} {self._count}"


def _good(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _error(status: int | None) -> str | None:
    match status:
        case None:
            return "no answer"
        case _ if _good(status):
            return None
        case _:
            return str(status)


OPERATIONS: Mapping[str, tuple[int, Callable[[User], Awaitable[Answer]]]] = {
    "create_assessment": (27, User.create_assessment),
    "read_assessment": (15, User.read_assessment),
    "search": (25, User.search),
    "risks": (8, User.risks),
    "change_assessment": (7, User.change_assessment),
    "user": (6, User.user),
    "session": (5, User.session),
    "preferences": (5, User.preferences),
    "create_document": (2, User.create_document),
}
"""Name to (weight in per cent, what to do)."""
_NAMES = tuple(OPERATIONS)
_WEIGHTS = tuple(weight for weight, _ in OPERATIONS.values())
