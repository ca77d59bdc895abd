"""How fast the review page is, in a browser: ``python -m benchmarks.reviewpage RESULTS``.

RESULTS is a folder that ``make demo`` wrote. Its ledger is copied and its jobs are listed many
times over, so that the worklist is long; the pictures are those of the demonstration. Chromium
draws in software here: a graphics card draws faster.
"""

import json
import shutil
import sqlite3
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from playwright.sync_api import Browser, Page

from benchmarks.table import RESULTS
from tests.support.reviewpage import Reader, add_readers, browser, page_served

FRAMES = 30
"""Beats that are scrolled through."""

SCROLL_S = 4.0
"""Time that the worklist is scrolled for [s]."""

INDEXED_S = 300.0
"""Time that the server has to read what it lists [s]."""

WHEEL = """async (frames) => {
  const glass = document.querySelector('[data-drawn=yes]');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const taken = [];
  for (let i = 0; i < frames; i++) {
    const began = performance.now();
    glass.dispatchEvent(new WheelEvent('wheel', { deltaY: 100, bubbles: true, cancelable: true }));
    await frame();
    // Reading a pixel waits until the picture is drawn and not only asked for.
    const canvas = document.querySelector('.stage canvas');
    const gl = canvas.getContext('webgl2');
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    taken.push(performance.now() - began);
  }
  return taken;
}"""

SCROLL = """async (seconds) => {
  const grid = document.querySelector('[role=grid]');
  const taken = [];
  const until = performance.now() + 1000 * seconds;
  let last = performance.now();
  let empty = 0;
  while (last < until) {
    grid.scrollTop = (grid.scrollTop + 230) % (grid.scrollHeight - grid.clientHeight);
    await new Promise((done) => requestAnimationFrame(done));
    const now = performance.now();
    taken.push(now - last);
    last = now;
    if (grid.querySelectorAll('.rows [role=row]').length === 0) empty++;
  }
  return { taken, empty };
}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was measured."""

    rows: int
    """Results in the worklist."""

    first_row_ms: float
    """From the reload of the page to the first row [ms]; median."""

    scroll_median_ms: float
    """Between two frames while the worklist is scrolled by five rows a frame [ms]; median."""

    scroll_worst_ms: float
    """The same; 99 of 100 are faster."""

    empty_frames: int
    """Frames of it without any row."""

    first_image_ms: float
    """From opening a case to its first picture on screen [ms]; median."""

    beat_median_ms: float
    """From a turn of the wheel to the next beat's picture [ms]; median."""

    beat_worst_ms: float
    """The same; the slowest of a series."""


def lengthen(ledger: Path, rows: int) -> None:
    """List the jobs of a ledger again under other ids, until there are so many."""
    with sqlite3.connect(ledger) as connection:
        connection.row_factory = sqlite3.Row
        # The copy gets accounts of its own.
        connection.execute("DELETE FROM accounts")
        jobs = [dict(row) for row in connection.execute("SELECT * FROM jobs WHERE state = 'done'")]
        artifacts = [dict(row) for row in connection.execute("SELECT * FROM artifacts")]
        for number in range(rows - len(jobs)):
            job = dict(jobs[number % len(jobs)])
            old, job["id"] = job["id"], uuid5(NAMESPACE_OID, str(number)).hex
            _insert(connection, "jobs", job)
            for artifact in artifacts:
                if artifact["job_id"] == old:
                    copy = {**artifact, "job_id": job["id"]}
                    del copy["id"]
                    _insert(connection, "artifacts", copy)


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608


def measure(chromium: Browser, address: str, rows: int, rounds: int) -> Figures:
    """Measure with a browser."""
    reader = Reader(chromium, address)
    reader.sign_in("anna")
    page = reader.page
    _wait_until_listed(page, rows)
    first_row = [_first_row_ms(page) for _ in range(rounds)]
    scrolled = page.evaluate(SCROLL, SCROLL_S)
    jobs = page.evaluate(
        "async () => (await (await fetch('/api/worklist?analysis=perfusion&limit=1')).json()).rows"
    )
    first_image, beats = [], []
    for _ in range(rounds):
        page.goto(f"{address}/#/worklist")
        page.locator(".rows [role=row]").first.wait_for()
        began = perf_counter()
        page.goto(f"{address}/#/case/{jobs[0]['job_id']}")
        reader.wait_for_image()
        first_image.append(1e3 * (perf_counter() - began))
        beats += page.evaluate(WHEEL, FRAMES)
    reader.close()
    return Figures(
        rows=rows,
        first_row_ms=median(first_row),
        scroll_median_ms=median(scrolled["taken"]),
        scroll_worst_ms=sorted(scrolled["taken"])[int(0.99 * len(scrolled["taken"]))],
        empty_frames=scrolled["empty"],
        first_image_ms=median(first_image),
        beat_median_ms=median(beats),
        beat_worst_ms=max(beats),
    )


def _wait_until_listed(page: Page, rows: int) -> None:
    """Wait until the server has read what it lists."""
    until = monotonic() + INDEXED_S
    asked = "async () => (await (await fetch('/api/worklist?limit=1')).json())"
    while (answer := page.evaluate(asked))["total"] < rows or not answer["complete"]:
        if monotonic() > until:
            raise TimeoutError(f"{answer['total']} of {rows} results are listed")
        sleep(0.5)


def _first_row_ms(page: Page) -> float:
    """Return the time from a reload to the first row."""
    began = perf_counter()
    page.reload(wait_until="commit")
    page.locator(".rows [role=row] a").first.wait_for()
    return 1e3 * (perf_counter() - began)


def table(figures: Figures) -> str:
    """Return the figures for people."""
    return "\n".join(
        (
            "| what | ms | a second |",
            "| --- | --- | --- |",
            f"| first row of {figures.rows} | {figures.first_row_ms:.0f} | |",
            f"| frame while scrolling them | {figures.scroll_median_ms:.1f} "
            f"(99 of 100 below {figures.scroll_worst_ms:.1f}) "
            f"| {1e3 / figures.scroll_median_ms:.0f} |",
            f"| first picture of a case | {figures.first_image_ms:.0f} | |",
            f"| next of {FRAMES} beats | {figures.beat_median_ms:.1f} "
            f"(slowest {figures.beat_worst_ms:.1f}) | {1e3 / figures.beat_median_ms:.0f} |",
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder that make demo wrote")
    parser.add_argument("--rows", type=int, default=10_000, help="length of the worklist")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        ledger = Path(scratch) / "ledger.db"
        shutil.copy(given.results / "ledger.db", ledger)
        lengthen(ledger, given.rows)
        add_readers(ledger)
        with page_served(ledger, "", Path(scratch)) as address, browser() as chromium:
            figures = measure(chromium, address, given.rows, given.rounds)
    print(table(figures))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "reviewpage.json").write_text(json.dumps(asdict(figures), indent=1))


if __name__ == "__main__":
    main()
