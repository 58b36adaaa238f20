"""The demo's data, all of it a function of a row's number: every process knows it without asking a database."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from watchdog.demo.embedding import Vector, embed

RISKS_PER_CONTROL = 2
STATUSES = ("open", "in_review", "closed")
_VOCABULARY = (
    "access account alert analysis approval archive assessment asset audit authentication authorization backup "
    "baseline breach certificate change classification cloud compliance confidential configuration consent "
    "continuity contract control credential cryptography customer data decision deletion deployment detection "
    "device disaster disclosure disposal employee encryption endpoint escalation evidence exception exposure "
    "firewall fraud gateway governance hardware identity impact incident information integrity intrusion "
    "inventory isolation key laptop ledger legal license logging malware manager mitigation monitoring network "
    "notification obligation office owner partner password patch payment permission personal physical policy "
    "port privacy privilege procedure process procurement protection provider purpose quality quarantine "
    "recovery register regulation remote report request residual resilience retention review risk role rotation "
    "sanction scan schedule screening secret segregation server session severity signature site software "
    "standard storage subject supplier surveillance system tenant test threat token tool training transfer "
    "transport treatment user validation vault vendor version violation visitor vulnerability warning workflow"
)
_WORDS = tuple(_VOCABULARY.split())


@dataclass(frozen=True)
class Sizes:
    """How many of each thing the demo starts with."""

    users: int = 2_000
    assessments: int = 100_000
    documents: int = 20_000
    controls: int = 5_000
    risks: int = 500
    sessions: int = 200
    billing_keys: int = 25


DEMO = Sizes()
SMALL = Sizes(users=40, assessments=400, documents=120, controls=60, risks=12, sessions=10, billing_keys=5)

QUERIES = tuple(
    f"{_WORDS[(i * 7) % len(_WORDS)]} {_WORDS[(i * 17 + 5) % len(_WORDS)]} {_WORDS[(i * 29 + 11) % len(_WORDS)]}"
    for i in range(20)
)
"""The fixed searches whose answers are compared before and after."""


def _number(kind: str, i: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{kind}:{i}".encode(), digest_size=16).digest(), "big")


def control_id(i: int) -> str:
    """The i-th control, counted from 1."""
    return f"C-{i:04d}"


def risk_id(i: int) -> str:
    """The i-th risk, counted from 1."""
    return f"R-{i:03d}"


def assessment_id(i: int) -> str:
    """The i-th assessment, counted from 1."""
    return str(uuid.UUID(int=_number("assessment", i), version=4))


def phrase(kind: str, i: int, words: int) -> str:
    """So many words, the same ones for the same kind and number."""
    number = _number(kind, i)
    chosen = []
    for _ in range(words):
        number, at = divmod(number, len(_WORDS))
        chosen.append(_WORDS[at])
        if not number:
            number = _number(kind, i + len(chosen))
    return " ".join(chosen)


def users(sizes: Sizes) -> Iterator[tuple[int, str, str]]:
    """(id, email, name)."""
    for i in range(1, sizes.users + 1):
        yield i, f"user{i}@example.org", phrase("name", i, 2).title()


def assessment(i: int, sizes: Sizes) -> tuple[str, int, str, str, int, str]:
    """(id, user_id, control_id, status, score, note) of the i-th assessment, counted from 1."""
    number = _number("assessment", i)
    return (
        assessment_id(i),
        number % sizes.users + 1,
        control_id((number >> 16) % sizes.controls + 1),
        STATUSES[(number >> 32) % len(STATUSES)],
        (number >> 48) % 101,
        f"note {i}",
    )


def assessments(sizes: Sizes) -> Iterator[tuple[str, int, str, str, int, str]]:
    """All assessments."""
    return (assessment(i, sizes) for i in range(1, sizes.assessments + 1))


def documents(sizes: Sizes) -> Iterator[tuple[int, str, str, int]]:
    """(id, title, body, owner_id)."""
    for i in range(1, sizes.documents + 1):
        yield i, phrase("title", i, 4).capitalize(), phrase("body", i, 24), i % sizes.users + 1


def vector(title: str, body: str, model: str) -> Vector:
    """The embedding the service stores for a document."""
    return embed(f"{title} {body}", model=model)


def controls(sizes: Sizes) -> Iterator[dict[str, object]]:
    """Control nodes; a third carries a hand-kept `mitigation_count` that the graph migration overwrites."""
    for i in range(1, sizes.controls + 1):
        node: dict[str, object] = {"id": control_id(i), "title": phrase("control", i, 3).capitalize()}
        if i % 3 == 0:
            node["mitigation_count"] = i % 5
        yield node


def risks(sizes: Sizes) -> Iterator[dict[str, object]]:
    """Risk nodes."""
    for i in range(1, sizes.risks + 1):
        yield {"id": risk_id(i), "title": phrase("risk", i, 3).capitalize()}


def addresses(sizes: Sizes) -> Iterator[dict[str, object]]:
    """Which control addresses which risks: {from, to}."""
    for i in range(1, sizes.controls + 1):
        for k in range(RISKS_PER_CONTROL):
            yield {"from": control_id(i), "to": risk_id((i * 7 + k * 5) % sizes.risks + 1)}


def evidences(sizes: Sizes) -> Iterator[dict[str, object]]:
    """Which document is evidence for which control: {from, to}."""
    for i in range(1, sizes.documents + 1):
        yield {"from": i, "to": control_id(i % sizes.controls + 1)}


def session_ids(sizes: Sizes) -> Iterator[str]:
    """Sessions that are open when the demo begins."""
    for i in range(1, sizes.sessions + 1):
        yield f"{_number('session', i):032x}"
