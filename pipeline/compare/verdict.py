"""The verdict on a new version: each figure of a comparison beside the limit that the site sets."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.compare.comparison import Comparison
from pipeline.compare.likeness import AGREEMENT, NRMSE, SSIM
from pipeline.comparesettings import CompareSettings
from pipeline.errors import UnusableCall
from pipeline.identity import digest_bytes, digest_set
from pipeline.infer.bundle import Bundle

SCHEMA_VERSION = 1
"""Version of the document's layout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One figure beside its limit."""

    figure: str
    """What it is: ``mean dice myocardium``."""

    value: float | None
    """The figure; None where nothing could be measured, which does not pass."""

    limit: float
    """What it must not lie beyond."""

    at_least: bool
    """Whether the limit is the least that passes; else it is the most."""

    @property
    def passes(self) -> bool:
        """Whether the figure lies within."""
        if self.value is None or math.isnan(self.value):
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def told(self) -> str:
        """The check in a line."""
        value = "nothing to measure" if self.value is None else f"{self.value:.4g}"
        word = "at least" if self.at_least else "at most"
        mark = "passes" if self.passes else "FAILS "
        return f"{mark}  {self.figure}: {value}, {word} {self.limit:g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A version that was compared."""

    name: str
    """Name of the model."""

    version: str
    """Its version."""

    digest: str
    """Digest of its bundle."""


def compared_version(bundle: Bundle) -> Compared:
    """Return which version a bundle is."""
    return Compared(name=bundle.name, version=bundle.version, digest=bundle.digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a new version may take the place of another."""

    analysis: str
    """Name of the analysis."""

    first: Compared
    """The version that is there."""

    second: Compared
    """The new one."""

    checks: tuple[Check, ...]
    """Each figure beside its limit."""

    limits: CompareSettings
    """The site's limits."""

    studies: int
    """Series that were compared."""

    cohort_digest: str
    """SHA-256 over the digests of the inputs of the series, hexadecimal."""

    @property
    def passes(self) -> bool:
        """Whether every figure lies within."""
        return all(check.passes for check in self.checks)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "analysis": self.analysis,
            "first": asdict(self.first),
            "second": asdict(self.second),
            "studies": self.studies,
            "cohort_digest": self.cohort_digest,
            "limits": asdict(self.limits),
            "checks": [
                {
                    "figure": check.figure,
                    "value": _finite(check.value),
                    "limit": check.limit,
                    "at_least": check.at_least,
                    "passes": check.passes,
                }
                for check in self.checks
            ],
            "passes": self.passes,
        }


def judge(
    comparison: Comparison, versions: tuple[Compared, Compared], limits: CompareSettings
) -> Verdict:
    """Return the verdict on the second version.

    Parameters
    ----------
    comparison
        What was found.
    versions
        The version that is there, and the new one.
    limits
        What the site allows.
    """
    checks = (
        Check(
            figure="series with two results",
            value=len(comparison.both),
            limit=limits.least_studies,
            at_least=True,
        ),
        Check(
            figure="share that only the new version fails",
            value=_failure_share(comparison),
            limit=limits.most_failures,
            at_least=False,
        ),
        *_of_likeness(comparison, limits),
        *_of_measurements(comparison, limits),
        *_of_labels(comparison, limits),
    )
    return Verdict(
        analysis=comparison.analysis,
        first=versions[0],
        second=versions[1],
        checks=checks,
        limits=limits,
        studies=len(comparison.cases),
        cohort_digest=digest_set(case.input_digest for case in comparison.cases),
    )


def _failure_share(comparison: Comparison) -> float | None:
    """Return the share of the first version's results that the second does not have."""
    had = [case for case in comparison.cases if case.failures[0] is None]
    return sum(case.failures[1] is not None for case in had) / len(had) if had else None


def _of_likeness(comparison: Comparison, limits: CompareSettings) -> Iterator[Check]:
    """Yield the checks of how alike results are."""
    for name, values in comparison.figures().items():
        mean, least = float(values.mean()), float(values.min())
        if name.startswith("dice "):
            for word, value, limit in (
                ("mean", mean, limits.least_mean_dice),
                ("worst", least, limits.least_worst_dice),
            ):
                yield Check(figure=f"{word} {name}", value=value, limit=limit, at_least=True)
        elif name == NRMSE:
            yield Check(figure="mean nrmse", value=mean, limit=limits.most_nrmse, at_least=False)
        elif name == SSIM:
            yield Check(figure="mean ssim", value=mean, limit=limits.least_ssim, at_least=True)
        elif name == AGREEMENT:
            yield Check(
                figure="mean agreement", value=mean, limit=limits.least_agreement, at_least=True
            )


def _of_measurements(comparison: Comparison, limits: CompareSettings) -> Iterator[Check]:
    """Yield the checks of measurements and of the uncertainty."""
    for measured, found in comparison.agreements().items():
        yield Check(
            figure=f"relative bias {measured.label}",
            value=found.relative_bias,
            limit=limits.most_bias,
            at_least=False,
        )
    ratio = comparison.uncertainty_ratio()
    if ratio is not None:
        yield Check(
            figure="rise of uncertainty",
            value=ratio - 1.0,
            limit=limits.most_uncertainty_rise,
            at_least=False,
        )


def _of_labels(comparison: Comparison, limits: CompareSettings) -> Iterator[Check]:
    """Yield the checks against labels."""
    for name, (first, second) in comparison.label_means().items():
        yield Check(
            figure=f"loss of dice against labels {name}",
            value=first - second,
            limit=limits.most_label_loss,
            at_least=False,
        )


def check_evidence(
    path: Path, digests: tuple[str, str], limits: CompareSettings
) -> dict[str, object]:
    """Return what the audit log keeps of a verdict that allows a promotion.

    Parameters
    ----------
    path
        The file ``verdict.json``.
    digests
        Of the version that is live, and of the one that is to be.
    limits
        The site's limits now.

    Raises
    ------
    UnusableCall
        If it is no verdict, one on other versions, one by other limits, or one that does not pass.
    """
    try:
        content = path.read_bytes()
        document = json.loads(content)
        stated = tuple(str(document[side]["digest"]) for side in ("first", "second"))
        checks = [_check(row) for row in document["checks"]]
        by, studies = document["limits"], int(document["studies"])
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
    except (ValueError, KeyError, TypeError):
        _refuse(path, "no verdict of vesalius compare")
    if stated != digests:
        told = [f"{a[:12]} and {b[:12]}" for a, b in (stated, digests)]
        _refuse(path, f"a verdict on {told[0]}, needed is one on {told[1]}, live and new")
    if by != json.loads(json.dumps(asdict(limits))):
        _refuse(path, "the verdict is by other limits than the site's [compare] now")
    failed = [check.figure for check in checks if not check.passes]
    if failed or not checks:
        _refuse(path, f"the verdict does not pass: {', '.join(failed) or 'no checks'}")
    return {"evidence_sha256": digest_bytes(content), "studies": studies}


def _check(row: Mapping[str, object]) -> Check:
    """Return a check as a verdict has it."""
    value, limit = row["value"], row["limit"]
    if not isinstance(limit, int | float) or not isinstance(value, int | float | None):
        raise TypeError
    return Check(
        figure=str(row["figure"]), value=value, limit=limit, at_least=row["at_least"] is True
    )


def _refuse(path: Path, why: str) -> NoReturn:
    """Refuse evidence."""
    raise UnusableCall(f"{path}: {why}")


def _finite(value: float | None) -> float | None:
    """Return a number that JSON has a word for."""
    return value if value is not None and math.isfinite(value) else None
