"""What the one-page report of a perfusion result says, in lines of text.

Who was imaged stands only on the page that lies inside a DICOM object of that patient. The page
that is a file of its own names its source by what a result's folder names it anyway.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.result import PerfusionResult, SegmentMeasurement, SliceResult
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.analyses.perfusion.sequence import field_strength_t
from pipeline.encode.context import EncodingContext
from pipeline.ingest.attributes import optional_number
from pipeline.study import InputSeries

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that the page is the same everywhere."""

UNSEEN = "?"
"""What stands for a character that the font has not."""

Line = tuple[str, str]
"""What something is, and its value."""

PERSON = (
    ("Patient", "PatientName"),
    ("Patient ID", "PatientID"),
    ("Born", "PatientBirthDate"),
    ("Sex", "PatientSex"),
    ("Study date", "StudyDate"),
    ("Accession number", "AccessionNumber"),
)
"""Who and when, and the attributes that say it."""

SCANNER = ("Manufacturer", "ManufacturerModelName")
"""The attributes that say what it was imaged by."""

SEQUENCE = (
    ("Repetition time", "RepetitionTime", "ms"),
    ("Echo time", "EchoTime", "ms"),
    ("Flip angle", "FlipAngle", "degrees"),
    ("Slice thickness", "SliceThickness", "mm"),
)
"""How it was imaged, the attributes that say it, and their unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAddition:
    """What another part of the analysis adds to the page: a box of its own."""

    title: str
    """What it is about."""

    lines: tuple[Line, ...]
    """What it says: name and value with its unit."""

    gap: float = 0.52
    """From a name to its value, in shares of the box's width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRow:
    """A line of the table of segments."""

    segment: int
    """Its number."""

    name: str
    """Its name."""

    slice_number: int
    """Its slice, from 1."""

    values: tuple[str, ...]
    """Its numbers in the order of ``SEGMENT_COLUMNS``."""


SEGMENT_COLUMNS = ("relative_upslope", "upslope", "peak_enhancement")
"""Numbers of the table of segments."""


def person_lines(header: Dataset) -> tuple[Line, ...]:
    """Return who was imaged and when, as the source has it; what it has not is left out.

    Parameters
    ----------
    header
        Header of the source.
    """
    return tuple(
        (name, printable(_one(header, keyword)))
        for name, keyword in PERSON
        if _one(header, keyword)
    )


def series_lines(series: InputSeries, result: PerfusionResult) -> tuple[Line, ...]:
    """Return what was imaged and how."""
    image = series.image
    slices, rows, columns = image.array.shape[1:]
    _, row_spacing, column_spacing = image.spacing_mm
    lines = [
        ("Images", f"{image.n_beats} beats, {slices} slices, {rows} x {columns}"),
        ("Pixels", f"{row_spacing:.2f} x {column_spacing:.2f} mm"),
        ("Times", "not known: a beat is a step" if image.times_are_estimated else _span(series)),
        ("State", result.state or "neither rest nor stress is stated"),
    ]
    if series.header is None:
        return (("File", printable(series.label)), *lines)
    scanner = " ".join(filter(None, (_one(series.header, keyword) for keyword in SCANNER)))
    if scanner:
        lines.append(("Scanner", printable(scanner)))
    if np.isfinite(field := field_strength_t(series.header)):
        lines.append(("Field strength", f"{field:.3g} T"))
    for name, keyword, unit in SEQUENCE:
        if (number := optional_number(series.header, keyword)) is not None:
            lines.append((name, f"{number:.4g} {unit}"))
    return tuple(lines)


def slice_lines(result: PerfusionResult, found: SliceResult) -> tuple[Line, ...]:
    """Return the numbers of a slice."""
    numbers = {m.name: m for m in result.measurements if m.slice_index == found.slice_index}
    chosen = found.chosen_member or "none plausible"
    lines = [("Network", chosen), ("Uncertainty U_pp", _number(found.u_pp, ".4f", ""))]
    for name, key in (("Myocardium", "myocardium_area_mm2"), ("Blood pool", "blood_pool_area_mm2")):
        if key in numbers:
            lines.append((name, f"{numbers[key].value / 100:.1f} cm\u00b2"))
    if "relative_upslope" in numbers:
        lines.append(("Relative upslope", f"{numbers['relative_upslope'].value:.3f}"))
    lines.append(("Motion between beats", _number(found.motion_mm, ".1f", " mm")))
    lines.append(("Motion left", _number(found.residual_motion_mm, ".1f", " mm")))
    return tuple(lines)


def segment_units(result: PerfusionResult) -> tuple[str, ...]:
    """Return the unit of each column of the table of segments."""
    units = {m.name: m.unit for m in result.aha.measurements}
    plain = {"1": "", "{intensity}": "a.u.", "{intensity}/s": "a.u./s"}
    found = (units.get(name, "1") for name in SEGMENT_COLUMNS)
    return tuple(plain.get(unit, "a.u./beat") for unit in found)


def segment_rows(result: PerfusionResult) -> tuple[SegmentRow, ...]:
    """Return the table of segments, over all of the wall, by number and slice."""
    found: dict[tuple[int, int], dict[str, SegmentMeasurement]] = {}
    for each in result.aha.measurements:
        if each.layer == Layer.WALL:
            found.setdefault((each.segment, each.slice_index), {})[each.name] = each
    return tuple(
        SegmentRow(
            segment=segment,
            name=SEGMENT_NAMES[segment],
            slice_number=index + 1,
            values=tuple(
                _three_digits(numbers[name].value) if name in numbers else "-"
                for name in SEGMENT_COLUMNS
            ),
        )
        for (segment, index), numbers in sorted(found.items())
    )


def version_lines(context: EncodingContext) -> tuple[Line, ...]:
    """Return what made the result."""
    return (
        ("Software", f"Vesalius {context.software_version}"),
        ("Model", f"{context.bundle_name} {context.bundle_version}"),
        ("SHA-256 of the model", context.bundle_digest),
        ("Job", str(context.job_id)),
    )


def printable(text: str) -> str:
    """Return a text in characters that the page's font has, on one line."""
    known = get_font(findfont(FontProperties(family=FONT))).get_charmap()
    return "".join(c if ord(c) in known else UNSEEN for c in " ".join(text.split()))


def _span(series: InputSeries) -> str:
    """Return how long the series lasts."""
    return f"{float(np.max(series.image.times_s)):.0f} s"


def _one(header: Dataset, keyword: str) -> str:
    """Return a value as text; of a name, its first group, of several values the first."""
    value = header.get(keyword)
    if value is None:
        return ""
    if keyword == "PatientName":
        return str(value).split("=")[0].replace("^", " ").strip()
    first = value if isinstance(value, str) or not hasattr(value, "__len__") else next(iter(value))
    return str(first).strip()


def _three_digits(value: float) -> str:
    """Return a number with three digits that count, zeros among them."""
    return f"{value:#.3g}".removesuffix(".")


def _number(value: float, form: str, unit: str) -> str:
    """Return a number with its unit, a dash where there is none."""
    return f"{value:{form}}{unit}" if np.isfinite(value) else "-"


def note_lines(notes: tuple[str, ...]) -> Iterator[str]:
    """Yield every note in characters that the page has; a word if there is none."""
    if not notes:
        yield "none"
    for note in notes:
        yield printable(note)
