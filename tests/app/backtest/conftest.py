from collections.abc import Callable
from pathlib import Path

import pytest

RULES = """\
version: 1
signals:
  - probe: metrics
    target: api
    every: 5s
    timeout: 3s
    read:
      requests: {metric: http_requests_total, kind: counter}
      errors: {metric: http_requests_total, kind: counter, where: {status: "5.."}, absent: zero}
      latency: {metric: http_request_duration_seconds, kind: distribution}
      queue: {metric: queue_length, kind: gauge}
      db_errors: {metric: db_errors_total, kind: counter, split: [sqlstate], absent: zero}
evidence:
  - {signal: db_errors, label: sqlstate, codes: ["23502"]}
rules:
  error_rate: {kind: ratio, bad: errors, total: requests, above: 5%, hold: 5m, enters: stop}
  response_time: {kind: latency, of: latency, times_baseline: 2, floor: 0.1, hold: 5m, enters: stop}
  queue: {kind: gauge, of: queue, above: 100, enters: flag}
"""

T0 = 1_735_690_200
"""2025-01-01T00:10:00Z, in seconds."""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(RULES)
    return path


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a history."""

    def written(text: str) -> Path:
        path = tmp_path / "history.csv"
        path.write_text(text)
        return path

    return written


def outage(share: float, *, healthy: int = 120, failing: int = 120, requests: int = 50, schema: bool = False) -> str:
    """A CSV of 5 s steps: so many healthy ones up to T-0, then ones in which a share of all requests fails."""
    lines = ["time,requests,errors" + (',"db_errors{sqlstate=""23502""}"' if schema else "")]
    total = bad = 0
    for step in range(-healthy, failing + 1):
        total += requests
        bad += round(requests * share) if step > 0 else 0
        more = f",{bad}" if schema else ""
        lines.append(f"{T0 + 5 * step},{total},{bad}{more}")
    return "\n".join(lines) + "\n"
