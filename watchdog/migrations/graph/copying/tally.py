"""How many elements of each kind a graph has, and a hash of them that knows no order."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from watchdog.migrations.graph.values import Element

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


def node_digest(element: Element) -> bytes:
    """The hash of a node's labels and properties; equal nodes have it alike."""
    return hashlib.blake2b(element.mark.text.encode(errors="surrogatepass"), digest_size=_SIZE).digest()


def relationship_digest(element: Element, start: bytes, end: bytes) -> bytes:
    """The hash of a relationship with what is at its ends."""
    text = element.mark.text.encode(errors="surrogatepass")
    return hashlib.blake2b(start + end + text, digest_size=_SIZE).digest()


@dataclass
class Tally:
    """Elements by their labels or type: how many, and the sum of their hashes."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """From what `as_json` made; raises KeyError, TypeError or ValueError for anything else."""
        kinds = said["kinds"]
        return cls(
            {kind: int(each["count"]) for kind, each in kinds.items()},
            {kind: int(each["hash"], 16) for kind, each in kinds.items()},
        )

    @property
    def nodes(self) -> int:
        """How many nodes."""
        return sum(count for kind, count in self.counts.items() if kind.startswith("nodes"))

    @property
    def relationships(self) -> int:
        """How many relationships."""
        return sum(count for kind, count in self.counts.items() if kind.startswith("relationships"))

    def add(self, element: Element, digest: bytes) -> None:
        """Counts one element."""
        names = "".join(f" :{name}" for name in element.labels)
        kind = f"relationships{names}" if element.ends else f"nodes{names or ' without label'}"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.sums[kind] = (self.sums.get(kind, 0) + int.from_bytes(digest)) % _MODULUS

    def as_json(self) -> dict[str, Any]:
        """Counts and hashes."""
        return {
            "nodes": self.nodes,
            "relationships": self.relationships,
            "kinds": {
                kind: {"count": self.counts[kind], "hash": f"{self.sums[kind]:0{2 * _SIZE}x}"}
                for kind in sorted(self.counts)
            },
        }

    def differences(self, other: "Tally") -> Iterator[str]:
        """What another graph has otherwise, a sentence for each kind."""
        for kind in sorted({*self.counts, *other.counts}):
            mine, theirs = self.counts.get(kind, 0), other.counts.get(kind, 0)
            if mine != theirs:
                yield f"{kind}: {theirs:,} instead of {mine:,}"
            elif self.sums[kind] != other.sums[kind]:
                yield f"{kind}: {mine:,} as in the copy, but not all with the same properties or ends"
