"""Measurements of what serving costs: ``python -m benchmarks``."""
