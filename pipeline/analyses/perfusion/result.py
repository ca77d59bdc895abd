"""What the perfusion analysis hands to the encoders and the manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.flow.result import FlowResult
from pipeline.analyses.perfusion.verdict import SeriesTrust
from pipeline.imaging.volume import Volume
from pipeline.study import Measurement

BACKGROUND, MYOCARDIUM, BLOOD_POOL = 0, 1, 2
"""Values of the segmentation: background, left ventricular myocardium, left ventricular blood
pool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberScore:
    """How one member of the pool did on one slice."""

    member: str
    """Name of the member in the bundle: ``member_1``."""

    u_pp: float
    """U_pp = ||U||_F^2 / myocardial pixels on the model's grid; infinite where there is no
    myocardium."""

    myocardium_area_mm2: float
    """Area of the member's own myocardium [mm2]."""

    implausible: str | None
    """Why the member may not be chosen, such as an area out of range; None where it may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceResult:
    """What was found on one slice."""

    slice_index: int
    """From 0, along the series' slice axis."""

    chosen_member: str | None
    """The plausible member with the lowest U_pp; None where none is plausible: nothing is
    segmented."""

    members: tuple[MemberScore, ...]
    """The score of every member that was run, in the order of the bundle."""

    u_pp: float
    """The chosen member's U_pp; infinite where none was chosen."""

    heart_centre_lps_mm: tuple[float, float, float]
    """Where the heart was found [mm], LPS+."""

    first_beat: int
    """First beat of the window of the first pass that the model saw, from 0."""

    peak_beat: int
    """Beat at which the blood pool is brightest, from 0."""

    peak_shift_mm: tuple[float, float]
    """Where the heart lies on that beat, relative to its place in the segmentation, along rows and
    columns [mm]."""

    motion_mm: float
    """Mean displacement between neighbouring beats that motion correction found [mm]."""

    residual_motion_mm: float
    """Mean displacement of the beats from each other that is left after correction, measured by
    other means than the correction's own [mm]; NaN where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeIntensityCurves:
    """Mean intensity of each structure over the beats, after motion correction."""

    times_s: NDArray[np.float64]
    """Time [s]. Shape ``(beats, slices)``."""

    myocardium: NDArray[np.float64]
    """Mean modality value over the myocardium. Shape ``(beats, slices)``."""

    blood_pool: NDArray[np.float64]
    """Mean modality value over the LV blood pool. Shape ``(beats, slices)``; NaN where it is
    empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionCourse:
    """How the heart moved, beat by beat."""

    shifts_mm: NDArray[np.float64]
    """Where the heart lies on each beat, relative to its place in the segmentation, along rows and
    columns [mm]. Shape ``(beats, slices, 2)``."""

    remaining_mm: NDArray[np.float64]
    """What of it is left after correction, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerfusionEvidence:
    """What every member of the pool found, also where it was not chosen."""

    members: tuple[str, ...]
    """Names of the members, in the order of the bundle."""

    labels: NDArray[np.uint8]
    """Each member's own segmentation; empty where it was not run. Shape ``(members, slices, rows,
    columns)``."""

    myocardium: NDArray[np.float64]
    """Curves under each member's myocardium, as in ``TimeIntensityCurves``; NaN where it was not
    run. Shape ``(members, beats, slices)``."""

    blood_pool: NDArray[np.float64]
    """Curves under each member's blood pool. Same shape."""

    shifts_mm: NDArray[np.float64]
    """Where the heart lies on each beat, relative to its place in the segmentations, along rows and
    columns [mm]. Shape ``(beats, slices, 2)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentMeasurement:
    """One number of one segment."""

    segment: int
    """Number of the segment, 1 to 16."""

    segment_name: str
    """Its name: ``mid anterior``."""

    slice_index: int
    """Slice it was measured on, from 0."""

    layer: str
    """``wall``, ``endocardial`` or ``epicardial``."""

    name: str
    """A field of ``Features``, or ``relative_upslope``: the upslope over that of the slice's blood
    pool."""

    value: float
    """The number, in ``unit``."""

    unit: str
    """UCUM code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AhaSlice:
    """How a slice lies in the heart."""

    slice_index: int
    """From 0, along the series' slice axis."""

    level: str
    """``basal``, ``mid`` or ``apical``."""

    anterior_insertion_lps_mm: tuple[float, float, float]
    """Where the right ventricle meets the left one in front [mm], LPS+: the segments are counted
    from here."""

    inferior_insertion_lps_mm: tuple[float, float, float]
    """Where it does below [mm], LPS+."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AhaResult:
    """The segments of all slices."""

    slices: tuple[AhaSlice, ...] = ()
    """Slices whose segments are known."""

    measurements: tuple[SegmentMeasurement, ...] = ()
    """Their numbers."""

    curves: Mapping[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    """Mean intensity of a slice's segment over the beats, by ``(slice, segment)``."""

    layer_curves: Mapping[tuple[int, int, str], NDArray[np.float64]] = field(default_factory=dict)
    """The same of each of its layers, by ``(slice, segment, layer)``."""

    notes: tuple[str, ...] = ()
    """Why a slice has no segments, and how its height was told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerfusionResult:
    """Segmentation, uncertainty and measurements of a series, on the series' own grid."""

    segmentation: Volume
    """uint8 with ``BACKGROUND``, ``MYOCARDIUM`` and ``BLOOD_POOL``."""

    uncertainty: Volume
    """float32: standard deviation of the myocardium's probability over the patches, chosen
    member."""

    slices: tuple[SliceResult, ...]
    """One a slice, in order."""

    curves: TimeIntensityCurves
    """Time-intensity curves."""

    measurements: tuple[Measurement, ...]
    """The numbers of the report."""

    notes: tuple[str, ...]
    """What a reader should know."""

    stage_seconds: dict[str, float]
    """Wall time of each stage of the analysis [s]."""

    aha: AhaResult = AhaResult()
    """The segments of the American Heart Association."""

    state: str | None = None
    """``rest`` or ``stress``, as the series is described; None where that says neither."""

    motion: MotionCourse | None = None
    """How the heart moved; None where it was not kept."""

    flow: FlowResult | None = None
    """Myocardial blood flow, or why there is none; None where nobody asked."""

    evidence: PerfusionEvidence | None = None
    """What every member found; None where it was not kept."""

    trust: SeriesTrust | None = None
    """How far the segmentation can be trusted; None where that was not judged."""
