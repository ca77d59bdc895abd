"""All numbers of a perfusion result as a table: a row a number, with its unit and its place."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.places import TABLE
from pipeline.encode.provenance import artifact
from pipeline.study import Artifact

KIND = "table"
"""Kind of the artifact."""

COLUMNS = ("slice", "structure", "segment", "segment_name", "layer", "name", "value", "unit")
"""Columns: slices and segments by their numbers, slices from 0; empty where there is none."""

Row = tuple[object, ...]


def write_table(result: PerfusionResult, folder: Path) -> Artifact:
    """Write the numbers of a result into a folder, and return the record of the file."""
    return write_rows(_rows(result), folder)


def write_rows(rows: Iterable[Row], folder: Path) -> Artifact:
    """Write rows of ``COLUMNS`` into a folder, and return the record of the file."""
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return artifact(KIND, folder, TABLE)


def _rows(result: PerfusionResult) -> Iterator[Row]:
    """Yield the numbers of slices and structures, then those of segments."""
    for each in result.measurements:
        place = each.slice_index, each.structure, None, None, None
        yield (*place, each.name, repr(each.value), each.unit)
    for of in result.aha.measurements:
        where = of.slice_index, "myocardium", of.segment, of.segment_name, of.layer
        yield (*where, of.name, repr(of.value), of.unit)
