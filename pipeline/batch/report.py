"""The report of a batch: one page that opens without a server, numbers and text first."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from statistics import fmean, median

from pipeline import __version__
from pipeline.batch.plots import distribution, reasons, stages, throughput
from pipeline.batch.rows import is_measurement
from pipeline.batch.tables import TableFiles, read_columns
from pipeline.batch.told import BatchStatus, duration
from pipeline.flush import flush

Columns = Mapping[str, Sequence[object]]
"""The columns of a table."""

LEAST_RESULTS = 3
"""Fewer numbers make no distribution."""

MOST_PLOTS = 24
"""Measurements whose distribution is drawn; the table has all."""

MOST_FAILURES = 200
"""Failures that are listed; the table has all."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b2430; background: #fff; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 0.9rem; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: 0.2rem 0.9rem 0.2rem 0; border-bottom: 1px solid #d8dee6;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 0.5rem 0; } svg { max-width: 100%; height: auto; }
.pairs { display: flex; flex-wrap: wrap; }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load: nothing."""


def write_report(status: BatchStatus, files: TableFiles, path: Path) -> Path:
    """Write the page of a batch from its tables, and return its path.

    Parameters
    ----------
    status
        How the batch stands.
    files
        Its tables.
    path
        The page.
    """
    results, failures = read_columns(files.results), read_columns(files.failures)
    body = "".join(
        (
            _summary(status, results),
            _analyses(results),
            _measurements(results),
            _failures(failures),
            _plots(results, failures),
        )
    )
    title = f"Batch {escape(status.batch.name)}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{body}<p>Vesalius {__version__}. Research use only. The "
        f"whole of it is in {escape(files.results.name)} and {escape(files.failures.name)} beside "
        "this page, and as CSV.</p></body></html>\n"
    )
    working = path.with_suffix(".part")
    working.write_text(page, encoding="utf-8")
    flush(working)
    working.replace(path)
    return path


def _summary(status: BatchStatus, results: Columns) -> str:
    """Return what the batch came to."""
    counts = {state.value: n for state, n in sorted(status.counts.items())}
    rows = [("State", status.state), ("Studies", f"{sum(counts.values())}")]
    rows += [(f"{state} studies".capitalize(), f"{n}") for state, n in counts.items()]
    rows.append(("Results", f"{len(results['job_id'])}"))
    ended = _moments(results)
    if len(ended) > 1:
        seconds = (max(ended) - min(ended)).total_seconds()
        rows.append(("First to last result", duration(seconds)))
        if seconds > 0:
            rows.append(
                ("Results an hour between them", f"{3600 * (len(ended) - 1) / seconds:.0f}")
            )
    uncertain = _numbers(results["uncertainty"])
    if uncertain:
        rows.append(("Median uncertainty of a result", _told(median(uncertain))))
    rows.append(("Made", f"{status.batch.created_at:%Y-%m-%d %H:%M} UTC"))
    cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return f"<table>{cells}</table>"


def _analyses(results: Columns) -> str:
    """Return which analyses, by which bundle and software, made how many results, in what time."""
    keys = ("analysis", "bundle", "bundle_version", "bundle_digest", "software_version")
    made = list(zip(*(results[key] for key in keys), strict=True))
    rows = []
    for which, count in Counter(made).items():
        places = [index for index, each in enumerate(made) if each == which]
        times = _numbers(results["time total [s]"][index] for index in places)
        mean = _told(fmean(times)) if times else ""
        name, bundle, version, digest, software = map(str, which)
        rows.append([name, f"{bundle} {version}", digest[:12], software, str(count), mean])
    heads = ("Analysis", "Bundle", "Digest", "Software", "#Results", "#Mean time [s]")
    return f"<h2>What was done</h2>{_table(heads, rows)}" if rows else ""


def _measurements(results: Columns) -> str:
    """Return the distribution of each measurement in numbers."""
    rows = []
    for name in filter(is_measurement, results):
        values = _numbers(results[name])
        if values:
            ordered = sorted(values)
            quarter = [ordered[round(share * (len(ordered) - 1))] for share in (0, 0.25, 0.75, 1)]
            numbers = (quarter[0], quarter[1], median(values), quarter[2], quarter[3])
            rows.append([name, str(len(values)), *map(_told, numbers)])
    heads = ("Measurement", "#Results", "#Least", "#Lower quarter", "#Median", "#Upper quarter")
    return f"<h2>Measurements</h2>{_table((*heads, '#Most'), rows)}" if rows else ""


def _failures(failures: Columns) -> str:
    """Return what has no result, and why."""
    keys = ("number", "study", "what", "state", "analysis", "error", "reason")
    found = list(zip(*(failures[key] for key in keys), strict=True))
    if not found:
        return "<h2>Failures</h2><p>None.</p>"
    rows = [["" if value is None else str(value) for value in row] for row in found[:MOST_FAILURES]]
    more = len(found) - len(rows)
    told = f"<p>{more} more are in the table of failures.</p>" if more else ""
    heads = ("#Number", "Study", "What", "State", "Analysis", "Error", "Reason")
    return f"<h2>Failures</h2><p>{len(found)} in all.</p>{_table(heads, rows)}{told}"


def _plots(results: Columns, failures: Columns) -> str:
    """Return the plots that there are numbers for."""
    parts = []
    ended = _moments(results)
    if len(ended) >= LEAST_RESULTS:
        parts.append(_plot("Results over time", throughput(ended)))
    times = {
        name.removeprefix("time ").removesuffix(" [s]"): values
        for name, column in results.items()
        if name.startswith("time ") and name != "time total [s]"
        if (values := _numbers(column))
    }
    if times:
        parts.append(_plot("Time by stage", stages(times)))
    told = [
        str(error or reason or state)
        for error, reason, state in zip(
            failures["error"], failures["reason"], failures["state"], strict=True
        )
    ]
    if told:
        parts.append(_plot("Failures by reason", reasons(told)))
    drawn = [name for name in ("uncertainty", *filter(is_measurement, results)) if name in results]
    columns = [(name, _numbers(results[name])) for name in drawn]
    pairs = [
        f"<figure>{distribution(name, values)}</figure>"
        for name, values in columns
        if len(values) >= LEAST_RESULTS
    ][:MOST_PLOTS]
    if pairs:
        joined = "".join(pairs)
        parts.append(f'<h2>Uncertainty and measurements</h2><div class="pairs">{joined}</div>')
    return "".join(parts)


def _plot(title: str, svg: str) -> str:
    """Return a plot under its title."""
    return f"<h2>{escape(title)}</h2><figure>{svg}</figure>"


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; heads that begin with ``#`` are of numbers."""
    kinds = ['class="number"' if head.startswith("#") else "" for head in heads]
    top = "".join(
        f"<th {kind}>{escape(head.lstrip('#'))}</th>"
        for head, kind in zip(heads, kinds, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td {k}>{escape(cell)}</td>" for cell, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{lines}</table></div>'


def _numbers(column: Iterable[object]) -> list[float]:
    """Return the finite numbers of a column."""
    return [
        float(value)
        for value in column
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]


def _moments(results: Columns) -> list[datetime]:
    """Return when the results that this batch made were done."""
    return [
        at.replace(tzinfo=UTC)
        for at, existed in zip(results["done_at"], results["existed"], strict=True)
        if isinstance(at, datetime) and not existed
    ]


def _told(value: float) -> str:
    """Return a number as a person reads it."""
    return f"{value:.4g}"
