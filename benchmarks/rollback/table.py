"""The outcome of a corpus as a table."""

from collections.abc import Sequence
from statistics import median

from benchmarks.rollback.pair import Outcome


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Markdown: the sums, then each pair that was not restored with its cause."""
    count = len(outcomes) or 1
    kinds = {
        kind: [one for one in outcomes if one.kind == kind] for kind in ("restored", "refused", "impossible", "failed")
    }
    says = {
        "restored": "schema and every earlier row restored",
        "refused": "refused before anything changed",
        "impossible": "the script itself fails on the seeded rows, with or without us; nothing changed",
        "failed": "failed",
    }
    lines = ["| outcome | pairs | share |", "|---|---:|---:|"]
    lines += [f"| {says[kind]} | {len(ones)} | {len(ones) / count:.1%} |" for kind, ones in kinds.items()]
    live, aside = sum(one.later_live for one in outcomes), sum(one.later_quarantined for one in outcomes)
    took = median([one.seconds for one in outcomes] or [0])
    lines += ["", f"{len(outcomes)} pairs in {seconds:.0f} s; a pair took {took:.2f} s (median)."]
    lines[-1] += f" Of the later rows in rebuilt tables {live} stayed live; {aside} rows went to quarantine."
    others = [*kinds["refused"], *kinds["impossible"], *kinds["failed"]]
    if others:
        lines += ["", "| pair | outcome | cause |", "|---|---|---|"]
        lines += [f"| {o.pair} | {o.kind} | {' '.join(o.cause.split()).replace('|', '/')[:300]} |" for o in others]
    return "\n".join(lines)
