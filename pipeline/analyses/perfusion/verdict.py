"""How far a segmentation can be trusted, as a result tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What the signs amount to."""

    TRUSTED = "trusted"
    """The score lies where failures were rare enough when the calibration was made."""

    REVIEW = "review"
    """Neither of the others: somebody looks at it."""

    NOT_TRUSTED = "not trusted"
    """A failure is likelier than not."""

    NOT_CALIBRATED = "not calibrated"
    """The bundle has no calibration: the signs are told, and nothing is made of them."""


WORST_FIRST = (Verdict.NOT_TRUSTED, Verdict.REVIEW, Verdict.NOT_CALIBRATED, Verdict.TRUSTED)
"""Order in which a slice's verdict is that of its series."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """What can be seen of a segmentation without its truth. None where there is nothing to see."""

    u_pp: float
    """U_pp of the chosen member, more than 0."""

    margin: float | None
    """U_pp of the next best plausible member over that of the chosen one, 1 or more."""

    agreement: float | None
    """Mean Dice of the myocardium over all pairs of members, 0 to 1."""

    chosen_agreement: float | None
    """Mean Dice of the chosen member's myocardium with those of the others, 0 to 1."""

    enclosed: float
    """Share of the points around the blood pool that are myocardium, 0 to 1; 0 without a pool."""

    one_piece: float
    """Share of the myocardium that lies in its largest piece, 0 to 1."""

    myocardium_area_mm2: float
    """Area of the myocardium [mm2]."""

    area_ratio: float
    """Area of the blood pool over that of the myocardium, 0 or more."""

    thickness_spread: float
    """Standard deviation of the wall's thickness over its mean, over 24 directions, 0 or more."""

    blood_rise: float
    """Rise of the blood pool's mean intensity during the first pass, as a share of the window's
    99th percentile, 0 or more; 0 without a pool."""

    wall_rise: float
    """The same of the myocardium."""

    rise_ratio: float
    """Rise of the myocardium over that of the blood pool, 0 to 5."""

    lag_beats: float
    """Beats from the blood pool's half rise to the myocardium's; negative where that comes
    first."""

    confidence: float
    """The locator's confidence, 0 to 1."""

    off_centre_mm: float
    """From where the heart was located to the middle of the segmentation [mm]."""

    motion_mm: float
    """Mean displacement between neighbouring beats that motion correction found [mm]."""

    neighbour_distance_mm: float | None = None
    """From the middle of the segmentation to that of the nearest neighbouring slice's, in the plane
    [mm]; None with a single slice."""

    neighbour_area_ratio: float | None = None
    """Area of the whole ventricle over that of the neighbouring slice that is most like it, the
    larger over the smaller, 1 or more; None with a single slice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceTrust:
    """How far the segmentation of one slice can be trusted."""

    slice_index: int
    """From 0, along the series' slice axis."""

    verdict: Verdict
    """What the signs amount to."""

    failure_probability: float | None
    """Probability of a failed segmentation among cases like those of the calibration, 0 to 1; None
    without a calibration."""

    against: tuple[str, ...]
    """The signs that spoke against it, the strongest first, in words."""

    signs: Signs
    """All signs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarantee:
    """What the threshold of ``trusted`` stands for, where the calibration was made."""

    most_failures: float
    """Share of failures among trusted segmentations that it is meant to keep below."""

    confidence: float
    """Probability with which it does, for cases that are drawn as the calibration's were."""

    n_cases: int
    """Cases of the calibration that had a segmentation."""

    n_trusted: int
    """Cases up to the threshold."""

    n_failed: int
    """Failures among them."""

    upper_limit: float
    """Upper limit of the share of failures [Clopper, Pearson 1934], error divided among all
    thresholds that were looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesTrust:
    """How far the segmentations of a series can be trusted."""

    verdict: Verdict
    """The worst of the slices'."""

    slices: tuple[SliceTrust, ...]
    """Slices that have a segmentation, ascending."""

    failed_below: float | None
    """Dice below which the calibration calls a segmentation failed; None without one."""

    guarantee: Guarantee | None
    """What the threshold of ``trusted`` stands for; None where none could be found, and no slice is
    trusted then."""


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict of a series from those of its slices, of which there is at least one."""
    return min(verdicts, key=WORST_FIRST.index)
