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

MEASUREMENTS = {
    "myocardium_area_mm2": _concept("42798000", "SCT", "Area"),
    "blood_pool_area_mm2": _concept("42798000", "SCT", "Area"),
    "myocardium_upslope": _concept("122636", "DCM", "MR Perfusion Slope"),
    "blood_pool_upslope": _concept("122636", "DCM", "MR Perfusion Slope"),
    "relative_upslope": _concept(
        "relative-upslope", PRIVATE_SCHEME, "Upslope relative to LV blood pool"
    ),
    "volume_ml": _concept("118565006", "SCT", "Volume"),
    "u_pp": _concept("u-pp", PRIVATE_SCHEME, "Uncertainty per myocardial pixel"),
}
"""Concept of each measurement, by its key in the manifest."""

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
    "upslope": MEASUREMENTS["myocardium_upslope"],
    "relative_upslope": MEASUREMENTS["relative_upslope"],
    "peak_enhancement": _concept(
        "peak-enhancement", PRIVATE_SCHEME, "Peak intensity above that before contrast"
    ),
}
"""Concept of each measurement of an AHA segment, by its name in the manifest."""

UNITS = {
    "ml": _concept("ml", "UCUM", "milliliter"),
    "mm2": _concept("mm2", "UCUM", "square millimeter"),
    "1": _concept("1", "UCUM", "no units"),
    "ml/min/g": _concept("ml/min/g", "UCUM", "Milliliter/minute/gram"),
    "{intensity}": _concept("{intensity}", "UCUM", "intensity"),
    "{intensity}/s": _concept("{intensity}/s", "UCUM", "intensity per second"),
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
