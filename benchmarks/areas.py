"""What is measured, in the order of the table: each area's module has a function ``measure``."""

AREAS = {
    "serving": "benchmarks.serving",
    "reconstruction": "benchmarks.reconstruction",
    "phases": "benchmarks.phases",
}
"""Modules by the names of their areas."""
