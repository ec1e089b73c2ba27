"""Measurements, each runnable by itself; figures are in docs/performance.md."""
