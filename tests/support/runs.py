"""Runs as the command makes them, without the command."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.config import Configuration, ModelSettings
from pipeline.identity import digest_file
from pipeline.ledger.ledger import Ledger
from pipeline.manifest import JobEntry, Manifest
from pipeline.perform import open_analyses
from pipeline.plan import Plan, PlannedJob
from pipeline.run import RunRequest, run

FAST = PerfusionSettings(uncertainty_stride=8)
"""A sixteenth of the patches of the default."""


@dataclass(kw_only=True)
class Heard:
    """Listens to a run, and interferes with it where a test asks for that."""

    when_planned: Callable[[], None] = lambda: None
    when_progressed: Callable[[], None] = lambda: None
    plans: list[Plan] = field(default_factory=list)
    entries: list[JobEntry] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def reading(self, done: int, total: int) -> None:
        assert done <= total

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)
        self.when_planned()

    def began(self, job: PlannedJob) -> None:
        assert job in self.plans[-1].jobs

    def progressed(self, share: float) -> None:
        self.shares.append(share)
        self.when_progressed()

    def ended(self, entry: JobEntry) -> None:
        self.entries.append(entry)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A bundle, settings and a ledger: what stays the same from run to run."""

    bundle: Path
    ledger: Path
    settings: PerfusionSettings = FAST

    def run(
        self,
        *inputs: Path,
        output: Path,
        again: bool = False,
        heard: Heard | None = None,
    ) -> Manifest:
        """Run once."""
        configuration = Configuration(
            perfusion=self.settings, models=ModelSettings(path=self.bundle)
        )
        request = RunRequest(
            inputs=inputs, output=output, analyses=open_analyses([], configuration), again=again
        )
        with Ledger.open(str(self.ledger)) as ledger:
            return run(request, ledger, heard or Heard())

    def with_settings(self, settings: PerfusionSettings) -> "Site":
        """Return the site with other settings."""
        return replace(self, settings=settings)


def files_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def written_at(folder: Path) -> dict[str, int]:
    """Return when every file under a folder was written [ns]."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
