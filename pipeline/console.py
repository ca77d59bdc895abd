"""What a person sees of a run: a progress bar on a terminal, plain lines elsewhere.

Progress goes to standard error; the summary is the caller's to put on standard output.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.manifest import JobEntry, Manifest, records
from pipeline.plan import Plan, PlannedJob

if TYPE_CHECKING:
    from rich.progress import Progress

SHOWN = 20
"""Most refusals, and most series that do not fit, that are listed; the manifest lists all."""

PERCENT_STEP = 25
"""Where there is no terminal, a job reports each time this much more of it is done [%]."""


class Reporter:
    """Tells a person how a run goes on."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._percent = 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a progress bar meanwhile, if standard error is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        # Only now: elsewhere there is no bar.
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self._console, transient=True, redirect_stdout=False
        ) as self._bar:
            yield

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(printable(text))

    def reading(self, done: int, total: int) -> None:
        """Hear how many files were read, of how many."""
        if self._bar is None and done == 0:
            self.say(f"reading {total} files")
        self._show("reading", done, total)

    def planned(self, plan: Plan) -> None:
        """Hear what will be done."""
        for job in plan.jobs:
            series = job.candidate
            size = f"{series.rows} x {series.columns}"
            if series.n_slices:
                size = f"{series.n_beats} beats, {series.n_slices} slices of {size}"
            else:
                size = ", ".join((size, *series.notes))
            self.say(f"{job.analysis.name} fits {series.label}: {size}")
        self._some([f"refused {r.label}: {r.reason}" for r in plan.inventory.refusals])
        self._some(
            [
                f"{name} does not fit {n.candidate.label}: {reason}"
                for n in plan.not_fitting
                for name, reason in n.reasons.items()
            ]
        )
        if plan.inventory.ignored:
            self.say(f"ignored {len(plan.inventory.ignored)} files that are no input")

    def began(self, job: PlannedJob) -> None:
        """Hear that a job begins."""
        self._percent = 0
        if self._bar is None:
            self.say(f"{job.analysis.name} begins on {job.candidate.label}")
        self._show(f"{job.analysis.name} {_short(job.candidate.label)}", 0, 100)

    def progressed(self, share: float) -> None:
        """Hear how much of the job is done, 0 to 1."""
        percent = int(100 * share)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[-1], completed=percent)
        elif percent - self._percent >= PERCENT_STEP:
            self._percent = percent
            self.say(f"  {percent} %")

    def counted(self, done: int, total: int) -> None:
        """Hear how many series were judged, of how many."""
        self._show("judging", done, total)
        if self._bar is None:
            self.say(f"judged {done} of {total}")

    def ended(self, entry: JobEntry) -> None:
        """Hear how the job came out."""
        self.say(headline(entry))

    def _show(self, what: str, done: int, total: int) -> None:
        """Show a step on the bar, in place of the last one."""
        if self._bar is None:
            return
        for task in self._bar.tasks:
            if task.description != what:
                self._bar.remove_task(task.id)
        if not self._bar.tasks:
            self._bar.add_task(what, total=total)
        self._bar.update(self._bar.task_ids[-1], completed=done, total=total)

    def _some(self, lines: Sequence[str]) -> None:
        """Print lines, the first ones if there are many."""
        for line in lines[:SHOWN]:
            self.say(line)
        if len(lines) > SHOWN:
            self.say(f"... and {len(lines) - SHOWN} more, listed in the manifest")


def summary(manifest: Manifest, place: str) -> str:
    """Return what a run came to, in lines for a person.

    Parameters
    ----------
    manifest
        The manifest.
    place
        Where it was written.
    """
    lines = []
    for job in manifest.jobs:
        lines.append(headline(job))
        if not job.failure:
            lines += [f"  {line}" for line in _findings(job)]
    done = sum(not job.failure for job in manifest.jobs)
    lines.append(
        f"{done} done, {len(manifest.jobs) - done} failed, {len(manifest.refusals)} refused, "
        f"{len(manifest.not_fitting)} not applicable"
    )
    if not manifest.jobs:
        lines.append("Nothing to analyse: no series in the input fits.")
    lines.append(f"Results: {place}")
    return "\n".join(printable(line) for line in lines)


def printable(text: str) -> str:
    """Return a text whose control characters, as a file's name may hold, are harmless."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def headline(entry: JobEntry) -> str:
    """Return how a job came out, in a line."""
    head = f"{entry.identity.analysis} {entry.candidate.label}"
    if entry.failure:
        return f"{head}: failed, {entry.failure.reason} ({entry.failure.error})"
    return f"{head}: {'done before, result reused' if entry.reused else 'done'}"


def _findings(entry: JobEntry) -> Iterator[str]:
    """Yield the numbers of a result, a line a slice, and what a reader should know of it."""
    outcome = entry.outcome or {}
    chosen = {
        s.get("slice_index"): f" ({s['chosen_member'] or 'no plausible member'})"
        for s in records(outcome, "uncertainty")
        if "chosen_member" in s
    }
    lines: dict[str, list[str]] = {}
    for m in records(outcome, "measurements"):
        index = m.get("slice_index")
        where = "series" if index is None else f"slice {index}{chosen.get(index, '')}"
        unit = "" if m["unit"] == "1" else f" {m['unit']}"
        lines.setdefault(where, []).append(f"{m['name']} {_number(m['value'])}{unit}")
    for where, numbers in lines.items():
        yield f"{where}: {', '.join(numbers)}"
    for note in entry.all_notes:
        yield f"note: {note}"
    yield f"{entry.folder}: {len(entry.artifacts)} files"


def _number(value: object) -> str:
    """Return a number of a manifest as a person reads it."""
    return f"{value:.4g}" if isinstance(value, int | float) else "none"


def _short(label: str) -> str:
    """Return the end of a label, where UIDs of one study differ."""
    return label if len(label) <= 24 else f"...{label[-21:]}"
