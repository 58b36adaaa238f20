"""The daemon is killed at a point of the ladder and started again; stores and journal must end as if nothing happened.

`python -m benchmarks.kill` plays every point and writes `docs/kill.md`; `tests/system` plays a seeded few of them.
"""
