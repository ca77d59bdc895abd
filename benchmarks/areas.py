"""What is measured, in the order of the table: each area's module has a function ``measure``."""

AREAS = {
    "serving": "benchmarks.serving",
    "life": "benchmarks.life",
    "memory": "benchmarks.memoryrows",
    "growth": "benchmarks.growth",
}
"""Modules by the names of their areas."""
