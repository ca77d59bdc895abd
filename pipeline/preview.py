"""What a site's rules would do with inputs, without doing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.errors import UnusableCall
from pipeline.ingest.candidate import Refusal
from pipeline.ingest.inventory import take_inventory
from pipeline.routing.attributes import attributes_of
from pipeline.routing.route import Routing, route
from pipeline.routing.rules import Rules


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPreview:
    """What would become of a series."""

    label: str
    """The Series Instance UID, or the file's name."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D), where it is known."""

    jobs: tuple[str, ...]
    """Analyses that would be done: chosen by the rules, and fitting."""

    not_fitting: dict[str, str]
    """Analyses that the rules choose and the series does not fit, each with the reason."""

    routing: Routing
    """What the rules decide, and why."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "label": self.label,
            "study_instance_uid": self.study_instance_uid,
            "jobs": list(self.jobs),
            "not_fitting": self.not_fitting,
            "routing": self.routing.to_json(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What would become of inputs."""

    series: tuple[SeriesPreview, ...]
    """Sound series, in the order of the inputs."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "series": [series.to_json() for series in self.series],
            "refused": [{"label": r.label, "reason": r.reason} for r in self.refusals],
        }


def preview(inputs: Sequence[Path], analyses: Sequence[Analysis], rules: Rules) -> Preview:
    """Return what would become of inputs.

    Raises
    ------
    UnusableCall
        If an input does not exist.
    UnreadableFile
        If a file goes away in the meantime.
    """
    for given in inputs:
        if not given.exists():
            raise UnusableCall(f"{given}: no such file or folder")
    inventory = take_inventory(inputs)
    found = []
    for candidate in inventory.candidates:
        routing = route(attributes_of(candidate), rules)
        said = {a.name: a.why_not(candidate) for a in analyses if routing.chooses(a.name)}
        found.append(
            SeriesPreview(
                label=candidate.label,
                study_instance_uid=candidate.study_instance_uid,
                jobs=tuple(name for name, reason in said.items() if reason is None),
                not_fitting={name: reason for name, reason in said.items() if reason is not None},
                routing=routing,
            )
        )
    return Preview(series=tuple(found), refusals=inventory.refusals)
