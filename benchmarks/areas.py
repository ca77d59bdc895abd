"""What is measured, in the order of the table: each area's module has a function ``measure``."""

AREAS = {
    "serving": "benchmarks.serving",
    "daugs": "benchmarks.daugs",
    "models": "benchmarks.models",
    "ingest": "benchmarks.ingest",
    "encode": "benchmarks.encode",
    "start": "benchmarks.start",
}
"""Modules by the names of their areas."""
