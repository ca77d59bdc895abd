"""A page of every statistic over time, with windows and alarms; it opens without a server.

The page holds numbers, names of equipment as the site keeps them, and dates; no script, nothing
from elsewhere.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from pipeline.drift.charts import MOST_POINTS, chart
from pipeline.drift.monitor import later_points
from pipeline.drift.points import Point, names, points_of
from pipeline.drift.window import statistics_of
from pipeline.drift.words import number, place
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.references import Reference, Window, windows
from pipeline.ledger.statistics import analyses_of, recorded

MOST_NAMES = 12
"""Names of a table, the most frequent ones."""

STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
h1, h2, h3 { font-weight: 600 } table { border-collapse: collapse; margin: .5em 0 1em }
td, th { padding: .2em .8em .2em 0; text-align: left; border-bottom: 1px solid #ddd }
.charts { display: flex; flex-wrap: wrap; gap: 1em } figure { margin: 0; width: 300px }
figcaption { font-size: 12px } .alarm { color: #b00020; font-weight: 600 }
svg { background: #fafafa; border: 1px solid #ddd }
"""


def page(ledger: Ledger, chosen: Sequence[Reference]) -> str:
    """Return the page of some references.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>Drift</title>',
        f"<style>{STYLE}</style></head><body><h1>Drift</h1>",
        "<p>Grey: the middle 90 % and the median of the reference. Blue: its studies; black: later "
        "ones. Red: windows in which the statistic alarms.</p>",
    ]
    for reference in chosen:
        parts += _reference(ledger, reference)
    return "\n".join([*parts, "</body></html>", ""])


def _reference(ledger: Ledger, reference: Reference) -> Iterator[str]:
    """Yield the part of a reference."""
    rule = reference.rule
    length = f"{rule.days:g} days" if rule.days is not None else f"{rule.window} studies"
    yield f"<h2>{escape(reference.name)}</h2>"
    yield (
        f"<p>Until {reference.end_at:%Y-%m-%d %H:%M} UTC. Windows of {length}; each alarms with "
        f"probability {rule.false_alarms:g} at most if nothing has changed. Changes below "
        f"{rule.least_effect:g} do not alarm.</p>"
    )
    for analysis in sorted(set(analyses_of(ledger, reference.members).values())):
        everything = recorded(ledger, analysis)
        members = set(reference.members)
        before = points_of(r for r in everything if r.row in members)
        after = later_points(everything, reference)[-MOST_POINTS:]
        compared = windows(ledger, reference.name, analysis)
        yield f"<h3>{escape(analysis)}: {len(before)} studies, then {len(after)}</h3>"
        yield from _alarms(compared)
        numbers, categories = statistics_of([*before, *after])
        yield '<div class="charts">'
        for statistic in numbers:
            yield chart(statistic, before, after, compared)
        yield "</div>"
        for statistic in categories:
            yield from _table(statistic, before, after)


def _alarms(compared: Sequence[Window]) -> Iterator[str]:
    """Yield the list of alarms, the latest window first."""
    alarming = [window for window in compared if window.alarms]
    if not alarming:
        yield f"<p>{len(compared)} windows compared, no alarm.</p>"
        return
    yield f'<p class="alarm">{len(alarming)} of {len(compared)} windows alarm.</p>'
    yield "<table><tr><th>window</th><th>studies</th><th>statistic</th><th>reference</th>"
    yield "<th>window</th><th>effect</th><th>p, corrected</th><th>where</th></tr>"
    for window in reversed(alarming):
        for found in window.findings:
            if found["is_alarm"]:
                shown = [
                    f"{window.number}, until {window.last_at:%Y-%m-%d %H:%M}",
                    str(window.studies),
                    str(found["statistic"]),
                    *(number(found[key]) for key in ("before", "now", "effect", "p_corrected")),
                    place(found).removeprefix("; "),
                ]
                yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in shown) + "</tr>"
    yield "</table>"


def _table(statistic: str, before: Sequence[Point], after: Sequence[Point]) -> Iterator[str]:
    """Yield the table of a name: its share in the reference and since."""
    had, has = Counter(names(before, statistic)), Counter(names(after, statistic))
    yield f"<table><tr><th>{escape(statistic)}</th><th>reference</th><th>since</th></tr>"
    for name, _ in (had + has).most_common(MOST_NAMES):
        shares = [
            f"{counts[name] / len(points):.0%}" if points else ""
            for counts, points in ((had, before), (has, after))
        ]
        yield f"<tr><td>{escape(name)}</td><td>{shares[0]}</td><td>{shares[1]}</td></tr>"
    yield "</table>"
