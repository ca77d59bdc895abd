"""What the page shows of perfusion: images, the pool's members, curves, the bull's-eye."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES
from pipeline.ledger.pairs import Pair
from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.displaynames import shown_name, shown_unit
from pipeline.review.jsonfiles import Json, items, json_file, number, numbers, text
from pipeline.review.perfusiontrust import (
    Flow,
    InsertionPoints,
    Trust,
    flow_of,
    insertions_of,
    residual_motion_of,
    trust_of,
)

WALL = "wall"
"""The whole wall, in the outcome's segments; the others are its layers."""

MEASURES = ("relative_upslope", "upslope")
"""What the bull's-eye shows: the first that was measured."""

MEMBERS = "members"
"""Kind of the artifacts that hold each member's own segmentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """What one network of the pool found on a slice."""

    name: str
    """Its name."""

    u_pp: float | None
    """Its uncertainty on the slice."""

    plausible: bool
    """Whether it may be chosen."""

    segmentation: str | None
    """Where its segmentation of all slices is; null where it was not kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A time-intensity curve."""

    name: str
    """What it is of."""

    values: tuple[float | None, ...]
    """Its values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Time-intensity curves of a slice."""

    t: tuple[float | None, ...]
    """Time of each value, in ``t_unit``."""

    t_unit: str
    """``s``, or ``beat`` where times are not known."""

    unit: str
    """Unit of the values."""

    series: tuple[Curve, ...]
    """The curves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceDetail:
    """A slice."""

    index: int
    """Its number, from 0."""

    chosen: str
    """Name of the member that was chosen."""

    members: tuple[Member, ...]
    """The pool."""

    curves: Curves | None
    """Its curves; null where they were not kept."""

    insertions: InsertionPoints | None
    """Where the right ventricle meets the left one; null where that is not known."""

    trust: Trust | None
    """How far its segmentation can be trusted; null where that was not judged."""

    residual_motion_mm: float | None
    """Mean displacement of the beats from each other that is left after correction [mm]; null
    where it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AhaSegment:
    """A segment of the myocardium (AHA, 17 segments)."""

    id: int
    """Its number, 1 to 17."""

    name: str
    """Its name."""

    value: float | None
    """The measure in it; null where it was not imaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bullseye:
    """The myocardium by segments."""

    state: str | None
    """``rest`` or ``stress``; null where that is not known."""

    measure: str
    """What is measured."""

    unit: str
    """Its unit."""

    segments: tuple[AhaSegment, ...]
    """The segments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """The result of the same study in the other state."""

    job_id: str
    """Its job."""

    state: str
    """``rest`` or ``stress``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerfusionDetail:
    """First-pass perfusion of the heart."""

    source: str | None
    """Where the images are; null if the input is gone."""

    segmentation: str | None
    """Where the labels are: 1 myocardium, 2 blood pool."""

    uncertainty: str | None
    """Where the uncertainty map is."""

    t_seconds: tuple[float, ...] | None
    """Time of each beat [s]; null where it is not known."""

    slices: tuple[SliceDetail, ...]
    """The slices."""

    bullseye: Bullseye | None
    """The myocardium by segments; null where they were not found."""

    paired: Paired | None
    """The result in the other state; null where there is none."""

    flow: Flow | None
    """Myocardial blood flow, or why there is none; null where nobody asked."""


def perfusion_of(
    job: ResultJob, times: tuple[float, ...] | None, *, has_source: bool, pair: Pair | None
) -> PerfusionDetail:
    """Return what the page shows of perfusion.

    Parameters
    ----------
    job
        The job.
    times
        Time of each beat [s]; None where it is not known.
    has_source
        Whether the images are there.
    pair
        The result of the same study in the other state; None where there is none.
    """
    return PerfusionDetail(
        source=f"/api/jobs/{job.job_id}/source.nii.gz" if has_source else None,
        segmentation=file_url(job, "segmentation.nii.gz"),
        uncertainty=file_url(job, "uncertainty.nii.gz"),
        t_seconds=times,
        slices=_slices(job),
        bullseye=bullseye_of(job.outcome),
        paired=None if pair is None else Paired(job_id=str(pair.job_id), state=pair.state),
        flow=flow_of(job.outcome),
    )


def file_url(job: ResultJob, path: str) -> str | None:
    """Return where a file of a job is; None if it has none of that path."""
    return None if job.artifact(path) is None else f"/api/jobs/{job.job_id}/files/{path}"


def bullseye_of(outcome: Json) -> Bullseye | None:
    """Return the myocardium by segments, as an outcome has it; None if it has not."""
    walls = [e for e in items(outcome, "aha_segments") if text(e, "layer") == WALL]
    found = next((own for name in MEASURES if (own := _of_measure(walls, name))), None)
    if found is None:
        return None
    values: dict[int, list[float]] = {}
    for each in found:
        value = number(each, "value")
        if value is not None:
            values.setdefault(int(number(each, "segment") or 0), []).append(value)
    return Bullseye(
        state=state_of(outcome),
        measure=shown_name(text(found[0], "name")),
        unit=shown_unit(text(found[0], "unit")),
        segments=tuple(
            AhaSegment(
                id=id_,
                name=name,
                # Several slices of one level show the same segment.
                value=fmean(values[id_]) if id_ in values else None,
            )
            for id_, name in SEGMENT_NAMES.items()
        ),
    )


def state_of(outcome: Json) -> str | None:
    """Return the state of the heart, ``rest`` or ``stress``; None where it is not known."""
    return text(outcome, "heart_state") or None


def _of_measure(walls: Sequence[Json], name: str) -> list[Json]:
    """Return the measurements of one name."""
    return [each for each in walls if text(each, "name") == name]


def _slices(job: ResultJob) -> tuple[SliceDetail, ...]:
    """Return the slices with the pool's members and their curves."""
    found = json_file(job, "curves") or {}
    curves = {int(number(each, "slice_index") or 0): each for each in items(found, "slices")}
    trust, insertions = trust_of(job.outcome), insertions_of(job.outcome)
    return tuple(
        SliceDetail(
            index=(index := int(number(each, "slice_index") or 0)),
            chosen=text(each, "chosen_member"),
            members=tuple(_member(job, member) for member in items(each, "members")),
            curves=_curves(found, curves[index]) if index in curves else None,
            insertions=insertions.get(index),
            trust=trust.get(index),
            residual_motion_mm=residual_motion_of(each),
        )
        for each in items(job.outcome, "uncertainty")
    )


def _member(job: ResultJob, member: Json) -> Member:
    """Return what a member found on a slice."""
    name = text(member, "member")
    return Member(
        name=name,
        u_pp=number(member, "u_pp"),
        plausible=member.get("implausible") is None,
        segmentation=file_url(job, f"{MEMBERS}/{name}.nii.gz"),
    )


def _curves(found: Json, of_slice: Json) -> Curves:
    """Return the curves of a slice."""
    return Curves(
        t=numbers(of_slice, "t"),
        t_unit=text(found, "t_unit") or "s",
        unit=shown_unit(text(found, "unit")),
        series=tuple(
            Curve(name=_curve_name(each), values=numbers(each, "values"))
            for each in items(of_slice, "series")
        ),
    )


def _curve_name(curve: Json) -> str:
    """Return what a curve is of."""
    name, segment = text(curve, "name").replace("_", " "), curve.get("segment")
    return name if segment is None else f"{name}, segment {segment}"
