"""What a site sets of its record: how long things are kept, and where the audit log goes."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnusableCall


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionSettings:
    """How long what is received and made is kept; 0 keeps it until somebody removes it."""

    inputs_days: float = 0.0
    """Time after the last instance of a study after which what was received of it goes [d]."""

    results_days: float = 0.0
    """Time after the last change of a study's jobs after which the study is forgotten [d]."""

    refused_days: float = 0.0
    """Time after which data sets go that were set aside [d]."""

    events_days: float = 0.0
    """Time after which the events of jobs that have ended go [d]."""

    only_read: bool = False
    """Whether inputs and results stay until readers have ended with every result of the study."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        for name in ("inputs_days", "results_days", "refused_days", "events_days"):
            if getattr(self, name) < 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is 0 or more")
        if 0 < self.results_days < self.inputs_days:
            raise UnusableCall("results_days is below inputs_days: results would go before inputs")

    @property
    def is_set(self) -> bool:
        """Whether anything goes by its age."""
        return any((self.inputs_days, self.results_days, self.refused_days, self.events_days))


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """Where the audit log goes."""

    syslog: str | None = None
    """Server of syslog over TLS, ``tls://host:port``. Each event goes there as a DICOM message,
    in order, at least once."""

    authorities: Path | None = None
    """Certificates of the authorities that vouch for the server, PEM; None takes the system's."""

    certificate: Path | None = None
    """Certificate that is shown to the server, PEM; None shows none."""

    key: Path | None = None
    """The certificate's private key, PEM."""
