"""What a job is given: where its files lie, and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Where the input of a job lies, and its settings.

    The files are recorded by their names alone: what a call states of raw data, or a reference
    beside them, may be a patient's and is not kept.
    """

    input_root: Path
    """Absolute path that the inputs' paths start from."""

    inputs: tuple[str, ...]
    """The files that the series consists of."""

    configuration: Mapping[str, object]
    """All settings that the result depends on."""

    def as_columns(self) -> dict[str, object]:
        """Return it as columns of the job's row."""
        return {
            "input_root": str(self.input_root),
            "inputs": list(self.inputs),
            "configuration": dict(self.configuration),
        }
