"""Where an installation keeps what it received and what it made."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Configuration

CERTIFICATES = "certificates"
"""Folder of the certificates of what was removed, with what a service keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """The folders of an installation, beside those of results, which the ledger knows."""

    inbox: Path
    """Folder for what is received."""

    state: Path
    """Folder for what a service keeps: search index, what is shown of inputs, certificates."""

    registry: Path | None
    """Folder of the versions of models."""

    features: Path | None
    """Folder where what was seen of videos is kept."""

    output: Path | None
    """Folder for the results of jobs that are submitted without one."""

    @classmethod
    def of(cls, configuration: Configuration, state: Path) -> "Places":
        """Return the folders of a site.

        Parameters
        ----------
        configuration
            The site's settings.
        state
            Folder for what a service keeps.
        """
        return cls(
            inbox=(configuration.receive.folder or state / "inbox").absolute(),
            state=state,
            registry=configuration.models.registry,
            features=configuration.phases.features,
            output=configuration.service.output,
        )

    @property
    def certificates(self) -> Path:
        """Folder of the certificates."""
        return self.state / CERTIFICATES
