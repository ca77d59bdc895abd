"""A verdict on each segmentation: trusted, for review, or not trusted, and why.

U_pp ranks the members of the pool on one slice, and is blind where all of them fail alike. Here it
is one sign of several. Each sign becomes a doubt between 0 and 1; the doubts are added with weights
that are never negative, so that no sign can speak for a segmentation by being worse, and a logistic
curve makes the sum a probability of failure. All numbers are plain ones of a calibration. The
bundle ships with one that ``python -m models.perfusion.calibrate`` made; a site makes its own on
its labelled series, ``vesalius calibrate perfusion``. What the guarantee holds for:
``docs/trust.md``.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.analyses.perfusion.verdict import (
    Guarantee,
    SeriesTrust,
    Signs,
    SliceTrust,
    Verdict,
    worst,
)
from pipeline.errors import UnusableCall

SCHEMA_VERSION = 1
"""Version of the calibration file's layout."""

LIKELIER_THAN_NOT = 0.5
"""Probability of failure from which a segmentation is not trusted."""

SPEAKS_FROM = 0.5
"""A sign is named that raises the odds of a failure by more than this power of e: 1.6 times."""

MOST_NAMED = 3
"""Signs that are named, at the most."""

WORDS = {
    "u_pp": "U_pp is {:.4f}",
    "margin": "the next best member's U_pp is only {:.2f} times the chosen one's",
    "agreement": "the members agree with a Dice of {:.2f}",
    "chosen_agreement": "the chosen member agrees with the others with a Dice of {:.2f}",
    "enclosed": "the wall encloses {:.0%} of the blood pool",
    "one_piece": "{:.0%} of the wall is in one piece",
    "myocardium_area_mm2": "the wall's area is {:.0f} mm2",
    "area_ratio": "the blood pool has {:.2f} times the wall's area",
    "thickness_spread": "the wall's thickness varies by {:.0%} of its mean",
    "blood_rise": "the blood pool brightens by {:.2f} of the window's range",
    "wall_rise": "the wall brightens by {:.2f} of the window's range",
    "rise_ratio": "the wall brightens {:.2f} times as much as the blood pool",
    "lag_beats": "the wall brightens {:.0f} beats after the blood pool",
    "confidence": "the heart was located with a confidence of {:.2f}",
    "off_centre_mm": "the segmentation lies {:.0f} mm from where the heart was located",
    "motion_mm": "the heart moves by {:.1f} mm from beat to beat",
    "neighbour_distance_mm": "the ventricle lies {:.0f} mm beside that of the next slice",
    "neighbour_area_ratio": "the ventricle's area differs {:.2f} times from the next slice's",
}
"""Each sign in words."""

LOGARITHMIC = ("u_pp", "margin", "myocardium_area_mm2", "area_ratio", "neighbour_area_ratio")
"""Signs of which ratios count and not differences."""

LEAST = 1e-6
"""Smaller values count as this where ratios count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """How one sign becomes a doubt. Values are common logarithms where ratios count."""

    name: str
    """The sign."""

    typical: float | None
    """Value that speaks least against a segmentation, where both sides do; doubts grow with the
    distance from it. None where one side does."""

    none_at: float
    """Value, or distance from ``typical``, at which there is no doubt."""

    full_at: float
    """Value, or distance, from which the doubt is 1."""

    weight: float
    """Power of e by which a whole doubt raises the odds of a failure, 0 or more."""

    def of(self, signs: Signs) -> float:
        """Return the doubt, 0 to 1; 0 where the sign is not there."""
        value = scaled(self.name, signs)
        if value is None:
            return 0.0
        if self.typical is not None:
            value = abs(value - self.typical)
        return min(max((value - self.none_at) / (self.full_at - self.none_at), 0.0), 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustModel:
    """A calibration: how signs become a verdict."""

    pool: str
    """Digest of the pool that it was made with."""

    uncertainty_stride: int
    """Stride of the uncertainty map that it was made with [points]."""

    failed_below: float
    """Myocardial Dice below which a segmentation has failed, 0 to 1."""

    doubts: tuple[Doubt, ...]
    """The signs that count."""

    intercept: float
    """Log odds of a failure without any doubt."""

    trusted_up_to: float | None
    """Probability of failure up to which a segmentation is trusted; None where no threshold keeps
    the guarantee."""

    guarantee: Guarantee | None
    """What that threshold stands for; None without one."""

    made_from: str
    """What cases it was made from, in words."""

    def failure_probability(self, signs: Signs) -> float:
        """Return the probability of a failure, 0 to 1."""
        odds = self.intercept + sum(d.weight * d.of(signs) for d in self.doubts)
        return 1.0 / (1.0 + math.exp(-odds))

    def verdict(self, probability: float) -> Verdict:
        """Return the verdict on a segmentation of a probability of failure."""
        if probability >= LIKELIER_THAN_NOT:
            return Verdict.NOT_TRUSTED
        if self.trusted_up_to is not None and probability <= self.trusted_up_to:
            return Verdict.TRUSTED
        return Verdict.REVIEW

    def against(self, signs: Signs) -> tuple[str, ...]:
        """Return the signs that speak against a segmentation, the strongest first, in words."""
        said = {d.name: d.weight * d.of(signs) for d in self.doubts}
        named = [name for name, power in said.items() if power >= SPEAKS_FROM]
        named.sort(key=lambda name: -said[name])
        return tuple(WORDS[name].format(getattr(signs, name)) for name in named[:MOST_NAMED])


def scaled(name: str, signs: Signs) -> float | None:
    """Return a sign on the scale of its doubt; None where it is not there."""
    value: float | None = getattr(signs, name)
    if value is None or name not in LOGARITHMIC:
        return value
    return math.log10(max(value, LEAST))


def assess(signs: Mapping[int, Signs], model: TrustModel | None) -> SeriesTrust | None:
    """Return the verdicts on a series; None where no slice has a segmentation.

    Parameters
    ----------
    signs
        Signs of each slice that has a segmentation, by its number.
    model
        The calibration; None without one.
    """
    slices = tuple(_of_slice(index, one, model) for index, one in sorted(signs.items()))
    if not slices:
        return None
    return SeriesTrust(
        verdict=worst([s.verdict for s in slices]),
        slices=slices,
        failed_below=None if model is None else model.failed_below,
        guarantee=None if model is None else model.guarantee,
    )


def trust_notes(trust: SeriesTrust | None) -> Iterator[str]:
    """Yield what a reader should know of slices that are not trusted."""
    for one in () if trust is None else trust.slices:
        if one.verdict is Verdict.NOT_TRUSTED:
            why = f": {'; '.join(one.against)}" if one.against else ""
            yield f"slice {one.slice_index}: the segmentation is not trusted{why}"


def trust_from(content: bytes, place: str) -> TrustModel:
    """Return the calibration that a file holds.

    Parameters
    ----------
    content
        The file's bytes.
    place
        Where it is from, for messages.

    Raises
    ------
    UnusableCall
        If it holds something else.
    """
    try:
        document = json.loads(content)
    except ValueError as problem:
        raise UnusableCall(f"{place}: not JSON") from problem
    return parse_trust(document, place)


def parse_trust(document: object, place: str) -> TrustModel:
    """Return the calibration that a JSON value holds.

    Parameters
    ----------
    document
        The value.
    place
        Where it is from, for messages.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise UnusableCall(f"{place}: no trust calibration of version {SCHEMA_VERSION}")
    values: dict[str, Any] = {k: v for k, v in document.items() if k != "schema_version"}
    try:
        model = TrustModel(
            **{
                **values,
                "doubts": tuple(Doubt(**each) for each in values["doubts"]),
                "guarantee": values["guarantee"] and Guarantee(**values["guarantee"]),
            }
        )
        _check(model, place)
    except (KeyError, TypeError) as problem:
        raise UnusableCall(
            f"{place}: no trust calibration: fields are missing or more"
        ) from problem
    return model


def trust_document(model: TrustModel) -> dict[str, object]:
    """Return a calibration as JSON values."""
    return {"schema_version": SCHEMA_VERSION, **asdict(model)}


def _check(model: TrustModel, place: str) -> None:
    """Refuse a calibration that cannot be worked with."""
    for doubt in model.doubts:
        if doubt.name not in WORDS:
            raise UnusableCall(f"{place}: {doubt.name!r} is no sign; known are {', '.join(WORDS)}")
        if doubt.weight < 0 or doubt.none_at == doubt.full_at:
            raise UnusableCall(f"{place}: {doubt.name} has a weight below 0 or no range")
    numbers: Sequence[float] = [
        model.intercept,
        model.failed_below,
        *(v for d in model.doubts for v in (d.none_at, d.full_at, d.weight)),
        *([] if model.trusted_up_to is None else [model.trusted_up_to]),
    ]
    if not all(math.isfinite(value) for value in numbers):
        raise UnusableCall(f"{place}: a number is not finite")


def _of_slice(index: int, signs: Signs, model: TrustModel | None) -> SliceTrust:
    """Return the verdict on a slice."""
    if model is None:
        return SliceTrust(
            slice_index=index,
            verdict=Verdict.NOT_CALIBRATED,
            failure_probability=None,
            against=(),
            signs=signs,
        )
    probability = model.failure_probability(signs)
    verdict = model.verdict(probability)
    trusted = verdict is Verdict.TRUSTED
    return SliceTrust(
        slice_index=index,
        verdict=verdict,
        failure_probability=probability,
        against=() if trusted else model.against(signs),
        signs=signs,
    )
