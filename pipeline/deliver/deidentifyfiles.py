"""De-identify files into a folder: what passes the gate is there, what does not is not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import GateSettings
from pipeline.deliver.deidentify import Report, deidentified
from pipeline.deliver.gate import check
from pipeline.errors import UnreadableFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one object."""

    number: int
    """Its place among the inputs, from 1: its file's name may hold a patient's."""

    report: Report | None
    """What was done; None if nothing was written."""

    problems: tuple[str, ...] = ()
    """Why nothing was written."""

    def told(self) -> Iterator[str]:
        """Yield what a person is told."""
        if self.report is None:
            yield from (f"object {self.number}: not written: {text}" for text in self.problems)
            return
        done = self.report
        counts = ", ".join(
            f"{done.count(manner)} {manner}" for manner in ("removed", "emptied", "replaced")
        )
        yield f"object {self.number}: {done.sop_instance_uid}.dcm: {counts}"
        yield from (f"object {self.number}: look: {text}" for text in done.warnings)

    def to_json(self) -> dict[str, object]:
        """Return the outcome as a JSON object."""
        return {
            "object": self.number,
            "report": None if self.report is None else self.report.to_json(),
            "problems": list(self.problems),
        }


def written_into(
    files: Sequence[Path], folder: Path, key: bytes, settings: GateSettings
) -> list[Outcome]:
    """De-identify files into a folder, each named by its new SOP Instance UID.

    Parameters
    ----------
    files
        DICOM objects.
    folder
        Where results go.
    key
        The secret of the mapping.
    settings
        How strict the gate is.

    Raises
    ------
    UnusableCall
        If the key is too short.
    """
    return [
        _written(number, path, folder, (key, settings))
        for number, path in enumerate(files, start=1)
    ]


def _written(number: int, path: Path, folder: Path, how: tuple[bytes, GateSettings]) -> Outcome:
    """De-identify one file; it appears in the folder once it has passed the gate."""
    key, settings = how
    waiting = folder / f".{number}.waiting"
    try:
        report = deidentified(path, waiting, key)
        problems = check(waiting, settings)
        if problems:
            return Outcome(number=number, report=None, problems=problems)
        waiting.replace(folder / f"{report.sop_instance_uid}.dcm")
    except UnreadableFile as problem:
        return Outcome(number=number, report=None, problems=(str(problem),))
    finally:
        waiting.unlink(missing_ok=True)
    return Outcome(number=number, report=report)
