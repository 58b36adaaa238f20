"""The pure core: windows, baseline, judge, decide, evolve, due, projections."""
