"""A made-up perfusion result on a series, to be encoded: rings of another size on each slice."""

from uuid import UUID

import numpy as np

from pipeline.analyses.perfusion.measure import measure
from pipeline.analyses.perfusion.result import (
    BLOOD_POOL,
    MYOCARDIUM,
    AhaResult,
    AhaSlice,
    MemberScore,
    MotionCourse,
    PerfusionResult,
    SegmentMeasurement,
    SliceResult,
    TimeIntensityCurves,
)
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.analyses.perfusion.segments import ROUND_THE_SEPTUM, levels_of
from pipeline.encode.context import EncodingContext
from pipeline.imaging.volume import TimeSeries

CONTEXT = EncodingContext(
    job_id=UUID("7c1f4f0e-6d0a-5f0e-8a55-0d2f3a9b6c11"),
    software_version="0.1.0",
    bundle_name="Tiny perfusion pool",
    bundle_version="0.0.1",
    bundle_digest="ab" * 32,
    segmentation_types=("BINARY", "LABELMAP"),
)


def result_on(image: TimeSeries, *, empty_slices: tuple[int, ...] = ()) -> PerfusionResult:
    """Return a result on a series; nothing is found on some slices.

    The structures are asymmetric on every axis, so that nothing can be flipped unseen.
    """
    rng = np.random.default_rng(3)
    classes = np.zeros(image.array.shape[1:], dtype=np.uint8)
    uncertainty = rng.uniform(0, 0.4, classes.shape).astype(np.float32)
    for index in range(image.n_slices):
        if index not in empty_slices:
            classes[index, 1 : 4 + index % 2, 1:4] = MYOCARDIUM
            classes[index, 2, 2 : 4 - index % 2] = BLOOD_POOL
    slices = tuple(_slice(image, i, found=i not in empty_slices) for i in range(image.n_slices))
    curves = TimeIntensityCurves(
        times_s=image.times_s,
        myocardium=rng.uniform(10, 90, image.times_s.shape),
        blood_pool=rng.uniform(20, 300, image.times_s.shape),
    )
    segmentation = image.volume_like(classes)
    return PerfusionResult(
        segmentation=segmentation,
        uncertainty=image.volume_like(uncertainty),
        slices=slices,
        curves=curves,
        measurements=measure(
            segmentation, slices, curves, times_are_estimated=image.times_are_estimated
        ),
        notes=(),
        stage_seconds={},
        aha=_aha(image, [s.slice_index for s in slices if s.chosen_member]),
        state="stress",
        motion=MotionCourse(
            shifts_mm=rng.normal(0, 2.0, (*image.times_s.shape, 2)),
            remaining_mm=rng.normal(0, 0.2, (*image.times_s.shape, 2)),
        ),
    )


def _aha(image: TimeSeries, found: list[int]) -> AhaResult:
    """Return numbers of the segments of slices: another value for each."""
    step = "{beat}" if image.times_are_estimated else "s"
    units = {
        "upslope": f"{{intensity}}/{step}",
        "relative_upslope": "1",
        "peak_enhancement": "{intensity}",
    }
    levels = levels_of(found, image.affine[:3, 0]) if found else {}
    return AhaResult(
        slices=tuple(
            AhaSlice(
                slice_index=index,
                level=level,
                anterior_insertion_lps_mm=(1.0, 2.0, 3.0),
                inferior_insertion_lps_mm=(4.0, 5.0, 6.0),
            )
            for index, level in sorted(levels.items())
        ),
        measurements=tuple(
            SegmentMeasurement(
                segment=segment,
                segment_name=SEGMENT_NAMES[segment],
                slice_index=index,
                layer=layer,
                name=name,
                value=segment + 0.1 * number,
                unit=unit,
            )
            for index, level in sorted(levels.items())
            for segment in sorted(ROUND_THE_SEPTUM[level])
            for layer in Layer
            for number, (name, unit) in enumerate(units.items())
        ),
        curves={
            (index, segment): np.linspace(0.0, segment, image.n_beats)
            for index, level in levels.items()
            for segment in ROUND_THE_SEPTUM[level]
        },
    )


def _slice(image: TimeSeries, index: int, *, found: bool) -> SliceResult:
    """Return what was found on a slice."""
    x, y, z, _ = image.affine @ (index, 2.0, 2.0, 1.0)
    scores = tuple(
        MemberScore(
            member=f"member_{n}",
            u_pp=0.01 * n + 0.001 * index,
            myocardium_area_mm2=1000.0,
            implausible=None if found else "no myocardium",
        )
        for n in (1, 2, 3)
    )
    return SliceResult(
        slice_index=index,
        chosen_member="member_1" if found else None,
        members=scores,
        u_pp=scores[0].u_pp if found else float("inf"),
        heart_centre_lps_mm=(float(x), float(y), float(z)),
        first_beat=0,
        peak_beat=min(2, image.n_beats - 1),
        peak_shift_mm=(0.5, -0.5),
        motion_mm=1.2,
        residual_motion_mm=0.2,
    )
