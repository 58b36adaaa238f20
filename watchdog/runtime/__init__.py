"""Runs the engine: clock, ticker, one actor a guard, tasks under supervision."""
