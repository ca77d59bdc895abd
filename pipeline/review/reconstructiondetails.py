"""What the page shows of a reconstruction: it beside others, its uncertainty, its misfit."""

from dataclasses import dataclass

from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.displaynames import shown_name, shown_unit
from pipeline.review.jsonfiles import items, number, text
from pipeline.review.perfusiondetails import file_url

IMAGES = (
    ("reconstruction", "Reconstruction", "magnitude.nii.gz"),
    ("zero-filled", "Zero-filled", "zero_filled.nii.gz"),
    ("classical", "Classical", "classical.nii.gz"),
)
"""Names of the images, for the page and for people, and their files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image."""

    name: str
    """How the page calls it."""

    label: str
    """Its name for people."""

    url: str
    """Where it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure of merit."""

    name: str
    """Its name for people."""

    value: float
    """Its value."""

    unit: str
    """Its unit; empty for a ratio."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionDetail:
    """A reconstruction."""

    images: tuple[Image, ...]
    """It, and others beside it."""

    uncertainty: str | None
    """Where the uncertainty map is; null where none was made."""

    coverage: str | None
    """Where it is shown which samples were measured."""

    residual: str | None
    """Where it is shown how the image misfits them."""

    figures: tuple[Figure, ...]
    """Figures of merit."""


def reconstruction_of(job: ResultJob) -> ReconstructionDetail:
    """Return what the page shows of a reconstruction."""
    found = ((name, label, file_url(job, path)) for name, label, path in IMAGES)
    return ReconstructionDetail(
        images=tuple(Image(name=name, label=label, url=url) for name, label, url in found if url),
        uncertainty=file_url(job, "uncertainty.nii.gz"),
        coverage=file_url(job, "coverage.nii.gz"),
        residual=file_url(job, "residual.nii.gz"),
        figures=tuple(
            Figure(
                name=shown_name(text(each, "name")),
                value=value,
                unit=shown_unit(text(each, "unit")),
            )
            for each in items(job.outcome, "measurements")
            if (value := number(each, "value")) is not None
        ),
    )
