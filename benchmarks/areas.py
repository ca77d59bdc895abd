"""What is measured, in the order of the table: each area's module has a function ``measure``."""

AREAS = {
    "serving": "benchmarks.serving",
    "daugs": "benchmarks.daugs",
    "models": "benchmarks.models",
    "ingest": "benchmarks.ingest",
    "encode": "benchmarks.encode",
    "start": "benchmarks.start",
    "life": "benchmarks.life",
    "memory": "benchmarks.memoryrows",
    "growth": "benchmarks.growth",
    "reconstruction": "benchmarks.reconstruction",
    "phases": "benchmarks.phases",
}
"""Modules by the names of their areas."""
