"""The files of a comparison: a page that opens without a server, a table, and the verdict.

The page holds no script and nothing from elsewhere. Series are named by their files or by digits of
their digests.
"""

import base64
import csv
import io
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from pipeline.compare.blandaltman import Interval
from pipeline.compare.comparison import Case, Comparison
from pipeline.compare.verdict import Compared, Verdict

REPORT, PAIRS, VERDICT = "report.html", "pairs.csv", "verdict.json"
"""Names of the files."""

STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
h1, h2 { font-weight: 600 } table { border-collapse: collapse; margin: .5em 0 1em }
td, th { padding: .2em .8em .2em 0; text-align: left; border-bottom: 1px solid #ddd }
.sheet { display: flex; flex-wrap: wrap; gap: 1em } figure { margin: 0; max-width: 680px }
figcaption { font-size: 12px } img { background: #000; max-width: 100% }
.no { color: #b00020; font-weight: 600 } .yes { color: #1b6e2f }
"""


def write_comparison(comparison: Comparison, verdict: Verdict, folder: Path) -> None:
    """Write the three files into a folder, which is made.

    Raises
    ------
    OSError
        If one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text("\n".join(page(comparison, verdict)), encoding="utf-8")
    (folder / PAIRS).write_text(table(comparison), encoding="utf-8")
    document = json.dumps(verdict.to_json(), indent=2, sort_keys=True) + "\n"
    (folder / VERDICT).write_text(document, encoding="utf-8")


def table(comparison: Comparison) -> str:
    """Return a row for each series, as CSV; empty where there is no value."""
    figures = sorted({key for case in comparison.cases for key in case.likeness})
    measured = sorted(
        {key for case in comparison.cases for key in case.measurements},
        key=lambda key: (key.label, key.unit),
    )
    labels = sorted({key for case in comparison.cases for key in case.labels})
    header = ["series", "input_digest", "difference", "failure_first", "failure_second", *figures]
    for name in (
        *(f"{key.label} [{key.unit}]" for key in measured),
        "uncertainty",
        *(f"dice against label {name}" for name in labels),
    ):
        header += [f"{name} first", f"{name} second"]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    for case in comparison.cases:
        values: list[object] = [case.name, case.input_digest, f"{case.difference:.6g}"]
        values += [failure or "" for failure in case.failures]
        values += [_number(case.likeness.get(key)) for key in figures]
        pairs = [case.measurements.get(key) for key in measured]
        pairs += [case.uncertainty, *(case.labels.get(name) for name in labels)]
        for pair in pairs:
            values += ["", ""] if pair is None else [_number(pair[0]), _number(pair[1])]
        writer.writerow(values)
    return written.getvalue()


def page(comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8"><title>Two versions compared</title>'
    yield f"<style>{STYLE}</style></head><body>"
    yield f"<h1>{escape(verdict.analysis)}: two versions compared</h1>"
    yield from _versions(verdict.first, verdict.second)
    yield from _verdict(verdict)
    yield from _likeness(comparison)
    yield from _agreements(comparison)
    yield from _uncertainty(comparison)
    yield from _labels(comparison)
    yield from _failures(comparison)
    yield from _sheet(comparison)
    yield "</body></html>"
    yield ""


def _versions(first: Compared, second: Compared) -> Iterator[str]:
    """Yield which versions are compared."""
    rows = [
        [word, version.name, version.version, version.digest]
        for word, version in (("first", first), ("second, the new one", second))
    ]
    yield from _table(["", "model", "version", "digest"], rows)


def _verdict(verdict: Verdict) -> Iterator[str]:
    """Yield the verdict, and each figure beside its limit."""
    word, mark = ("within the limits", "yes") if verdict.passes else ("NOT within the limits", "no")
    yield f'<h2>Verdict: <span class="{mark}">{word}</span></h2>'
    yield f"<p>{verdict.studies} series.</p>"
    yield "<table><tr><th>figure</th><th>value</th><th>limit</th><th></th></tr>"
    for check in verdict.checks:
        value = "nothing to measure" if check.value is None else f"{check.value:.4g}"
        sign = "at least" if check.at_least else "at most"
        told = f'<span class="{"yes" if check.passes else "no"}">'
        told += f"{'passes' if check.passes else 'fails'}</span>"
        yield (
            f"<tr><td>{escape(check.figure)}</td><td>{value}</td>"
            f"<td>{sign} {check.limit:g}</td><td>{told}</td></tr>"
        )
    yield "</table>"


def _likeness(comparison: Comparison) -> Iterator[str]:
    """Yield how alike results are."""
    rows = [
        [
            name,
            str(len(values)),
            *(f"{value:.4f}" for value in np.quantile(values, [0.0, 0.05, 0.5])),
            f"{values.mean():.4f}",
        ]
        for name, values in comparison.figures().items()
    ]
    if rows:
        yield "<h2>Likeness of the results</h2>"
        header = ["figure", "series", "least", "5th percentile", "median", "mean"]
        yield from _table(header, rows)


def _agreements(comparison: Comparison) -> Iterator[str]:
    """Yield the agreement on each measurement."""
    rows = [
        [
            key.label,
            key.unit,
            str(found.studies),
            f"{found.mean:.4g}",
            f"{found.bias:+.4g} {_interval(found.bias_interval)}",
            f"{found.limits[0]:+.4g} {_interval(found.lower_interval)}",
            f"{found.limits[1]:+.4g} {_interval(found.upper_interval)}",
        ]
        for key, found in comparison.agreements().items()
    ]
    if rows:
        yield "<h2>Measurements, second minus first (Bland and Altman)</h2>"
        yield "<p>One value a series, the mean over its slices. In brackets 95 % intervals.</p>"
        header = ["measurement", "unit", "series", "mean of first", "bias"]
        yield from _table([*header, "lower limit", "upper limit"], rows)


def _uncertainty(comparison: Comparison) -> Iterator[str]:
    """Yield the change of uncertainty."""
    pairs = [case.uncertainty for case in comparison.both if case.uncertainty is not None]
    ratio = comparison.uncertainty_ratio()
    if ratio is not None:
        medians = np.median(np.array(pairs), axis=0)
        yield "<h2>Uncertainty</h2>"
        yield (
            f"<p>{len(pairs)} series: median {medians[0]:.4g} of the first, {medians[1]:.4g} of "
            f"the second; median of the ratios {ratio:.4g}.</p>"
        )


def _labels(comparison: Comparison) -> Iterator[str]:
    """Yield Dice against labels."""
    n_labelled = sum(bool(case.labels) for case in comparison.cases)
    if n_labelled:
        yield "<h2>Dice against labels</h2>"
        yield f"<p>{n_labelled} series; 0 where a version has no result.</p>"
        rows = [
            [name, f"{first:.4f}", f"{second:.4f}", f"{second - first:+.4f}"]
            for name, (first, second) in comparison.label_means().items()
        ]
        yield from _table(["segment", "first", "second", "change"], rows)


def _failures(comparison: Comparison) -> Iterator[str]:
    """Yield the series without a result of one or both."""
    failed = [case for case in comparison.cases if case.failures != (None, None)]
    yield f"<h2>Series without a result: {len(failed)}</h2>"
    if failed:
        rows = [[case.name, *(failure or "" for failure in case.failures)] for case in failed]
        yield from _table(["series", "first", "second"], rows)


def _sheet(comparison: Comparison) -> Iterator[str]:
    """Yield the series that differ most, with pictures."""
    yield f"<h2>The {len(comparison.shown)} series that differ most</h2>"
    yield "<p>First version left or above, second right or below.</p>"
    yield '<div class="sheet">'
    for case in comparison.shown:
        png = comparison.pictures.get(case.input_digest)
        shown = ""
        if png is not None:
            data = base64.b64encode(png).decode("ascii")
            shown = f'<img alt="both results" src="data:image/png;base64,{data}">'
        yield f"<figure>{shown}<figcaption>{escape(_caption(case))}</figcaption></figure>"
    yield "</div>"


def _caption(case: Case) -> str:
    """Return what is said below a picture."""
    parts = [f"{name} {value:.3f}" for name, value in case.likeness.items()]
    sides = zip(("first", "second"), case.failures, strict=True)
    parts += [f"{side}: {failure}" for side, failure in sides if failure is not None]
    return ": ".join((case.name, ", ".join(parts) or f"difference {case.difference:.3f}"))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table."""
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _interval(ends: Interval) -> str:
    """Return an interval in brackets."""
    return f"[{ends[0]:+.4g}, {ends[1]:+.4g}]"


def _number(value: float | None) -> str:
    """Return a number as the table has it."""
    return "" if value is None else f"{value:.9g}"
