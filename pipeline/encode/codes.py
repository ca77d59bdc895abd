"""The codes that results are described with: standard ones where there are any, else ours.

References
----------
.. [P316] DICOM PS3.16, CID 7150 segmentation property categories, CID 7162 algorithm families.
"""

from dataclasses import dataclass

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pipeline.analyses.perfusion.verdict import Verdict
from pipeline.identity import JOB_NAMESPACE, derived_uid

PRIVATE_SCHEME = "99VESALIUS"
"""Coding Scheme Designator (0008,0102) of the codes that no standard has."""

NEURAL_NETWORK = codes.DCM.ArtificialIntelligence
MR_OF_THE_HEART = codes.SCT.MagneticResonanceImagingOfHeart
LEFT_VENTRICLE = codes.SCT.LeftVentricle
PERFUSION_ANALYSIS = codes.DCM.PerfusionImageAnalysis
SEGMENTATION = codes.DCM.SegmentationImageDerivation
NO_UNITS = codes.UCUM.NoUnits
IMAGING_BY_MODALITY = {
    "CT": codes.cid100.CTUnspecifiedBodyRegion,
    "MR": codes.cid100.MRIUnspecifiedBodyRegion,
}
"""Procedure that a report is of where no more is known of it, by Modality (0008,0060)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Structure:
    """How a segment is described, in a segmentation as in a report."""

    name: str
    """Key in measurements: ``myocardium``."""

    label: str
    """Segment Label (0062,0005)."""

    category: CodedConcept
    """Segmented Property Category."""

    kind: CodedConcept
    """Segmented Property Type."""

    region: CodedConcept | None
    """Anatomic Region, where the type does not say it."""

    colour: tuple[float, float, float]
    """Recommended display colour, CIELab."""


def _concept(value: str, scheme: str, meaning: str) -> CodedConcept:
    """Return a code."""
    return CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


MYOCARDIUM = Structure(
    name="myocardium",
    label="LV myocardium",
    category=_concept("91723000", "SCT", "Anatomical Structure"),
    kind=_concept("49848007", "SCT", "Myocardium of left ventricle"),
    region=None,
    colour=(60.0, -45.0, 45.0),
)

BLOOD_POOL = Structure(
    name="blood_pool",
    label="LV blood pool",
    category=_concept("91720002", "SCT", "Body Substance"),
    kind=_concept("87612001", "SCT", "Blood"),
    region=_concept("87878005", "SCT", "Left ventricle"),
    colour=(50.0, 65.0, 45.0),
)

STRUCTURES = (MYOCARDIUM, BLOOD_POOL)
"""Structures in the order of the segmentation's values: 1, 2."""

ZERO_FILLED = Code("zero-filled", PRIVATE_SCHEME, "Zero-filled reconstruction")
"""Inverse Fourier transform of what was measured."""

RECONSTRUCTION_NOISE = Code(
    "noise-spread", PRIVATE_SCHEME, "Propagation of noise through a reconstruction"
)
"""How a map of intensity deviations is derived."""

INTENSITY_DEVIATION = _concept(
    "signal-deviation", PRIVATE_SCHEME, "Standard deviation of reconstructed intensity"
)
"""How far reconstructions of data perturbed within their noise lie apart."""

UNCERTAINTY = _concept("uncertainty", PRIVATE_SCHEME, "Uncertainty of segmentation")
"""Standard deviation of a probability over overlapping patches."""

RELATIVE_UPSLOPE = _concept("relative-upslope", PRIVATE_SCHEME, "Upslope relative to LV blood pool")
"""Slope of the wall's curve over that of the blood's."""

OF_CONCENTRATION = _concept(
    "relative-conc", PRIVATE_SCHEME, "Upslope of concentration relative to LV blood pool"
)
"""The same of concentrations of contrast agent."""

CURVE_MEASUREMENTS = {
    "baseline": _concept("baseline", PRIVATE_SCHEME, "Mean intensity before contrast"),
    "noise": _concept("baseline-noise", PRIVATE_SCHEME, "Deviation of intensity before contrast"),
    "arrival_time": _concept("126371", "DCM", "Bolus Arrival Time"),
    "time_to_peak": _concept("113069", "DCM", "Time To Peak"),
    "peak_enhancement": _concept(
        "peak-enhancement", PRIVATE_SCHEME, "Peak intensity above that before contrast"
    ),
    "upslope": _concept("122636", "DCM", "MR Perfusion Slope"),
    "area": _concept("122637", "DCM", "MR Perfusion Time Integral"),
    "contrast_ratio": _concept(
        "contrast-ratio", PRIVATE_SCHEME, "Peak enhancement relative to that before contrast"
    ),
    "contrast_to_noise": _concept(
        "contrast-noise", PRIVATE_SCHEME, "Peak enhancement relative to noise"
    ),
}
"""Concept of each number that a time-intensity curve tells, by its name."""

MEASUREMENTS = {
    "myocardium_area_mm2": _concept("42798000", "SCT", "Area"),
    "blood_pool_area_mm2": _concept("42798000", "SCT", "Area"),
    **{f"myocardium_{name}": concept for name, concept in CURVE_MEASUREMENTS.items()},
    **{f"blood_pool_{name}": concept for name, concept in CURVE_MEASUREMENTS.items()},
    "relative_upslope": RELATIVE_UPSLOPE,
    "relative_upslope_concentration": OF_CONCENTRATION,
    "volume_ml": _concept("118565006", "SCT", "Volume"),
    "motion_mm": _concept("motion", PRIVATE_SCHEME, "Motion between heart beats"),
    "residual_motion_mm": _concept(
        "residual-motion", PRIVATE_SCHEME, "Motion of the heart left after correction"
    ),
    "u_pp": _concept("u-pp", PRIVATE_SCHEME, "Uncertainty per myocardial pixel"),
}
"""Concept of each measurement, by its key in the manifest."""

TRUST = _concept("trust", PRIVATE_SCHEME, "Trust in segmentation")
"""What the signs of a segmentation amount to."""

TRUST_VERDICTS = {
    Verdict.TRUSTED: _concept("trusted", PRIVATE_SCHEME, "Trusted"),
    Verdict.REVIEW: _concept("review", PRIVATE_SCHEME, "For review"),
    Verdict.NOT_TRUSTED: _concept("not-trusted", PRIVATE_SCHEME, "Not trusted"),
    Verdict.NOT_CALIBRATED: _concept("not-calibrated", PRIVATE_SCHEME, "Trust not calibrated"),
}
"""Code of each verdict."""

FAILURE_PROBABILITY = _concept(
    "failure-probability", PRIVATE_SCHEME, "Probability of failed segmentation"
)
"""Score of a verdict: among cases like those of the calibration."""

FLOW = _concept("126390", "DCM", "Absolute Regional Blood Flow")
"""Flow of blood through tissue, in CID 7180."""

RESEARCH_FLOW = _concept(
    "research-flow", PRIVATE_SCHEME, "Research, from signal: deconvolved upslope, no flow"
)
"""What deconvolution makes of signals, which are no concentrations."""

DECONVOLUTIONS = {
    "fermi": _concept("fermi-fit", PRIVATE_SCHEME, "Deconvolution by a Fermi function"),
    "model_free": _concept("model-free", PRIVATE_SCHEME, "Deconvolution without a model"),
}
"""How a flow was measured, by its method in the manifest."""

SEGMENTS = {
    1: codes.cid3717.LeftVentricleBasalAnteriorSegment,
    2: codes.cid3717.LeftVentricleBasalAnteroseptalSegment,
    3: codes.cid3717.LeftVentricleBasalInferoseptalSegment,
    4: codes.cid3717.LeftVentricleBasalInferiorSegment,
    5: codes.cid3717.LeftVentricleBasalInferolateralSegment,
    6: codes.cid3717.LeftVentricleBasalAnterolateralSegment,
    7: codes.cid3717.LeftVentricleMidAnteriorSegment,
    8: codes.cid3717.LeftVentricleMidAnteroseptalSegment,
    9: codes.cid3717.LeftVentricleMidInferoseptalSegment,
    10: codes.cid3717.LeftVentricleMidInferiorSegment,
    11: codes.cid3717.LeftVentricleMidInferolateralSegment,
    12: codes.cid3717.LeftVentricleMidAnterolateralSegment,
    13: codes.cid3717.LeftVentricleApicalAnteriorSegment,
    14: codes.cid3717.LeftVentricleApicalSeptalSegment,
    15: codes.cid3717.LeftVentricleApicalInferiorSegment,
    16: codes.cid3717.LeftVentricleApicalLateralSegment,
    17: codes.cid3717.ApexOfLeftVentricle,
}
"""Finding site of each AHA segment: CID 3717 Myocardial Wall Segment."""

SEGMENT_MEASUREMENTS = {
    **CURVE_MEASUREMENTS,
    "relative_upslope": RELATIVE_UPSLOPE,
    "relative_upslope_concentration": OF_CONCENTRATION,
}
"""Concept of each measurement of an AHA segment, by its name in the manifest."""

RESERVE_MEASUREMENTS = {
    "mpri": _concept("mpri", PRIVATE_SCHEME, "Myocardial perfusion reserve index"),
    "rest": _concept("relative-at-rest", PRIVATE_SCHEME, "Relative upslope at rest"),
    "stress": _concept("relative-stress", PRIVATE_SCHEME, "Relative upslope under stress"),
}
"""Concept of the reserve index of a part of the myocardium, and of what it is made of."""

UNITS = {
    "ml": _concept("ml", "UCUM", "milliliter"),
    "mm": _concept("mm", "UCUM", "millimeter"),
    "mm2": _concept("mm2", "UCUM", "square millimeter"),
    "1": _concept("1", "UCUM", "no units"),
    "ml/min/g": _concept("ml/min/g", "UCUM", "Milliliter/minute/gram"),
    "{intensity}": _concept("{intensity}", "UCUM", "intensity"),
    "{intensity}/s": _concept("{intensity}/s", "UCUM", "intensity per second"),
    "s": _concept("s", "UCUM", "second"),
    "{beat}": _concept("{beat}", "UCUM", "heart beat"),
    "{intensity}.s": _concept("{intensity}.s", "UCUM", "intensity times second"),
    "{intensity}.{beat}": _concept("{intensity}.{beat}", "UCUM", "intensity times heart beat"),
    "{intensity}/{beat}": _concept("{intensity}/{beat}", "UCUM", "intensity per heart beat"),
}
"""Coded unit of each unit in the manifest."""


def private_scheme() -> CodingSchemeIdentificationItem:
    """Return who is responsible for the codes that no standard has."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Vesalius",
        registry=None,
        uid=derived_uid(JOB_NAMESPACE, "coding scheme"),
        responsible_organization="Vesalius",
    )
