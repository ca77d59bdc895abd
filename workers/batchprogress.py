"""What a person sees of a batch that runs: a bar on a terminal, a line now and then elsewhere."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipeline.batch.told import duration
from pipeline.console import printable
from pipeline.ledger.batchtables import FINISHED, StudyState

LINE_S = 10.0
"""Time between two lines where there is no terminal [s]."""

RECENT_S = 900.0
"""The rate is that of so much time [s]."""


class BatchProgress:
    """Tells a person how a batch goes on, with the time that is left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._line_at = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show a progress bar meanwhile, if standard error is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=self._console, redirect_stdout=False) as self._bar:
            self._bar.add_task("", total=None)
            yield

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(printable(text))

    def reading(self, done: int, total: int) -> None:
        """Hear how many studies were looked at for the plan."""
        self._tell(done, total, f"looking at studies: {done} of {total}")

    def counted(self, counts: dict[StudyState, int]) -> None:
        """Hear how many studies are in each state."""
        done = sum(counts.get(state, 0) for state in FINISHED)
        total = sum(counts.values())
        self._seen.append((monotonic(), done))
        while monotonic() - self._seen[0][0] > RECENT_S:
            self._seen.popleft()
        bad = counts.get(StudyState.FAILED, 0) + counts.get(StudyState.REFUSED, 0)
        parts = [f"{bad} failed or refused"] if bad else []
        left_s = self._left_s(total - done)
        parts.append("no rate yet" if left_s is None else f"{duration(left_s)} left")
        text = ", ".join(parts)
        self._tell(done, total, text if self._bar else f"{done} of {total} studies, {text}")

    def held(self, why: str | None) -> None:
        """Hear why nothing begins now."""
        # A time in which nothing was to begin says nothing of the rate.
        self._seen.clear()
        self.say("goes on" if why is None else f"waits: {why}")

    def _left_s(self, left: int) -> float | None:
        """Return how long the rest takes at the present rate [s]; None without one."""
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        if last == first:
            return None
        return left * (ended - began) / (last - first)

    def _tell(self, done: int, total: int, text: str) -> None:
        """Show how far it is."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=text)
        elif monotonic() >= self._line_at:
            self._line_at = monotonic() + LINE_S
            self.say(text)
