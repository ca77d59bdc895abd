"""What is measured, in the order of the table: each area's module has a function ``measure``."""

AREAS = {
    "serving": "benchmarks.serving",
    "daugs": "benchmarks.daugs",
    "models": "benchmarks.models",
}
"""Modules by the names of their areas."""
