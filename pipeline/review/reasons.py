"""The reasons that a reader can give for rejecting a result: a list, so that they are counted."""

from dataclasses import dataclass

from pipeline.errors import ReviewRefused

OTHER = "other"
"""The reason that needs words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a result may be rejected."""

    code: str
    """What is recorded and counted."""

    label: str
    """What readers see."""

    analyses: tuple[str, ...] = ()
    """Analyses that it is one for; none is all."""


REASONS = (
    Reason(code="region", label="Contours are not on the myocardium", analyses=("perfusion",)),
    Reason(code="motion", label="Motion or breathing spoils the series", analyses=("perfusion",)),
    Reason(code="contrast", label="No first pass of contrast to be seen", analyses=("perfusion",)),
    Reason(code="slices", label="Slices are missing or mixed up", analyses=("perfusion",)),
    Reason(code="aliasing", label="Aliasing remains", analyses=("reconstruction",)),
    Reason(code="invented", label="Shows what the data do not", analyses=("reconstruction",)),
    Reason(code="smoothed", label="Detail is smoothed away", analyses=("reconstruction",)),
    Reason(code="procedure", label="Another operation than was assumed", analyses=("phases",)),
    Reason(code="phases", label="Phases are wrong throughout", analyses=("phases",)),
    Reason(code="video", label="The video is not good enough", analyses=("phases",)),
    Reason(code="artefact", label="Artefacts in the source"),
    Reason(code="input", label="Wrong study, series or patient"),
    Reason(code=OTHER, label="Another reason, in words"),
)
"""All of them, in the order in which they are shown."""


def check_reason(code: str | None, words: str | None, analysis: str) -> None:
    """Check the reason of a rejection.

    Raises
    ------
    ReviewRefused
        If it is missing or none for the analysis, or needs words and has none.
    """
    known = {r.code for r in REASONS if not r.analyses or analysis in r.analyses}
    if code not in known:
        raise ReviewRefused(f"a rejection needs a reason: one of {', '.join(sorted(known))}")
    if code == OTHER and not (words or "").strip():
        raise ReviewRefused("the reason other needs words")
