"""Whether a series that fits an analysis by its form is plainly of something else by its names.

A dynamic series of the brain has the form of one of the heart. Such a job is held until a person
says that it is right; nothing is guessed. What a series says of itself is compared and never shown.
"""

import re
from collections.abc import Mapping

from pipeline.errors import UnreadableFile
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.limits import in_force
from pipeline.routing.attributes import attributes_of

LIMBS = frozenset(
    {"SHOULDER", "ARM", "ELBOW", "WRIST", "HAND", "FINGER", "HIP", "LEG", "KNEE", "ANKLE", "FOOT"}
)
HEAD = frozenset({"HEAD", "BRAIN", "SKULL", "NECK", "ORBIT", "PITUITARY", "IAC", "TMJ", "FACE"})
SPINE = frozenset({"SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "COCCYX"})
PELVIS = frozenset({"PELVIS", "PROSTATE", "UTERUS", "BLADDER", "RECTUM"})

ELSEWHERE: Mapping[str, frozenset[str]] = {
    "perfusion": HEAD | LIMBS | SPINE | PELVIS | {"BREAST", "KIDNEY", "LIVER", "ABDOMEN"},
    "phases": HEAD | LIMBS | SPINE | {"BREAST", "HEART"},
}
"""Body parts (PS3.16, annex L) that an analysis is certainly not made for."""

HEART = re.compile(r"heart|herz|card|coeur|cor\b|cmr|myo|ventric|\blv\b|\bsax\b")
"""Words of the heart: a description with one of them is not of something else."""

OTHERS: Mapping[str, re.Pattern[str]] = {
    "perfusion": re.compile(
        r"brain|neuro|cerebr|\bhead\b|kopf|hirn|cerveau|\bdsc\b|stroke|spine|prostat|pelvi|breast|"
        r"mamma|liver|leber|kidney|renal|niere|knee|\bknie\b"
    )
}
"""Words of a protocol, in small letters, that say that it is of something else."""


def doubt(candidate: Candidate, analysis: str) -> str | None:
    """Return why a person must say that a series is for an analysis; None if nobody must.

    Parameters
    ----------
    candidate
        A series that fits by its form.
    analysis
        Name of the analysis.
    """
    if not in_force().hold_other_body_parts or analysis not in ELSEWHERE:
        return None
    try:
        texts = attributes_of(candidate).texts
    except UnreadableFile:
        # The job itself will say so.
        return None
    part = texts.get("body_part", "").upper().strip()
    if part in ELSEWHERE[analysis]:
        return f"Body Part Examined (0018,0015) is one that {analysis} is not made for"
    others = OTHERS.get(analysis)
    for name, tag in (
        ("protocol_name", "Protocol Name (0018,1030)"),
        ("series_description", "Series Description (0008,103E)"),
    ):
        said = texts.get(name, "").lower().replace("_", " ")
        if others is not None and others.search(said) and not HEART.search(said):
            return f"{tag} names something that {analysis} is not made for"
    return None
