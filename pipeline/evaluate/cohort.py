"""What an evaluation of the perfusion analysis found, series by series, and what it amounts to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.evaluate.paired import Paired, paired
from pipeline.evaluate.warning import Warned, warned

FAILED_BELOW = 0.6
"""A myocardial Dice below this is a failed segmentation."""

FOUND_WITHIN_MM = 20.0
"""A heart is found if its centre is located this near to the label's left ventricle [mm]: the
model's square then holds all of it."""

CHOSEN, AVERAGE, BEST = "chosen", "average of the pool", "best member"
"""Ways to use a pool. The best member is known only to who has the labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesRow:
    """How one series came out."""

    name: str
    """File name without its ending."""

    patient: str
    """Whose it is, by its name."""

    myocardium_dice: float
    """Dice of the chosen members' myocardium; 0 where nothing was segmented."""

    by_beat_dice: float | None
    """The same against the label of each beat, the segmentation moved to where the heart was found
    on it, mean over the labelled beats; None where the label is one for the series."""

    label_agreement: float | None
    """Dice of each beat's own label with the one label of the series, mean over the labelled beats;
    None where there is one alone."""

    blood_pool_dice: float | None
    """Dice of the chosen members' blood pool; None where the label has none."""

    u_pp: float
    """Highest U_pp of the chosen members over the slices; infinite where none was chosen."""

    chosen_members: tuple[str | None, ...]
    """Chosen member of each slice."""

    members_run: float
    """Members that ran on a slice, mean over the slices."""

    member_dice: dict[str, float]
    """Myocardial Dice of each single member."""

    pool_average_dice: float
    """Myocardial Dice of the mean of the members' probabilities."""

    flagged: bool
    """Whether U_pp lies above the threshold for a warning."""

    verdict: str | None
    """Verdict of trust; None where nothing was segmented."""

    failure_probability: float | None
    """Highest probability of failure over the slices, 1 where nothing was segmented on one; None
    without a calibration."""

    areas_mm2: tuple[float, float]
    """Area of the myocardium over all slices, found and labelled [mm2]."""

    centre_error_mm: float
    """Distance from where the heart was found to the label's left ventricle, the largest over the
    labelled slices [mm]."""

    seconds: float
    """Time of preparation and inference by the whole pool [s]."""

    def ways(self) -> dict[str, float]:
        """Return the Dice of every way to use the pool."""
        return {
            CHOSEN: self.myocardium_dice,
            **self.member_dice,
            AVERAGE: self.pool_average_dice,
            BEST: max(self.member_dice.values()),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class WayRow:
    """One way to use the pool, over all series."""

    way: str
    """The way."""

    mean: float
    """Mean Dice."""

    sd: float | None
    """Standard deviation of Dice over the series; None for a single one."""

    median: float
    """Median Dice."""

    failed: int
    """Series that failed."""

    failed_share: float
    """Their share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All series, and what they amount to."""

    rows: tuple[SeriesRow, ...]
    """One a series."""

    not_judged: dict[str, str]
    """Why a file was not judged."""

    flag_u_pp: float
    """U_pp above which a result is flagged."""

    def ways(self) -> tuple[WayRow, ...]:
        """Return the paper's table: chosen, every single member, average, best."""
        return tuple(
            _way(way, [row.ways()[way] for row in self.rows]) for way in self.rows[0].ways()
        )

    def tests(self) -> tuple[Paired, ...]:
        """Return the tests of the chosen member against every single one and the average."""
        patients = [row.patient for row in self.rows]
        chosen = [row.myocardium_dice for row in self.rows]
        return tuple(
            paired(way, (chosen, [row.ways()[way] for row in self.rows]), patients, FAILED_BELOW)
            for way in self.rows[0].ways()
            if way not in (CHOSEN, BEST)
        )

    def warnings(self) -> tuple[Warned, ...]:
        """Return how well trust, where it is calibrated, and U_pp warn of failures."""
        failed = [row.myocardium_dice < FAILED_BELOW for row in self.rows]
        patients = [row.patient for row in self.rows]
        scores: dict[str, list[float]] = {}
        trust = [row.failure_probability for row in self.rows]
        if all(value is not None for value in trust):
            scores["trust"] = [float(value) for value in trust if value is not None]
        scores["u_pp"] = [row.u_pp for row in self.rows]
        return tuple(warned(name, values, failed, patients) for name, values in scores.items())

    def summary(self) -> dict[str, object]:
        """Return the figures over all series."""
        dice = np.array([r.myocardium_dice for r in self.rows])
        blood = [r.blood_pool_dice for r in self.rows if r.blood_pool_dice is not None]
        beats = [r.by_beat_dice for r in self.rows if r.by_beat_dice is not None]
        agreement = [r.label_agreement for r in self.rows if r.label_agreement is not None]
        failed = dice < FAILED_BELOW
        flagged = np.array([r.flagged for r in self.rows])
        members = {
            name: float(np.mean([r.member_dice[name] for r in self.rows]))
            for name in self.rows[0].member_dice
        }
        return {
            "n_series": len(self.rows),
            "n_patients": len({r.patient for r in self.rows}),
            "myocardium_dice_mean": float(dice.mean()),
            "myocardium_dice_median": float(np.median(dice)),
            "myocardium_dice_by_beat_mean": float(np.mean(beats)) if beats else None,
            "label_agreement_mean": float(np.mean(agreement)) if agreement else None,
            "blood_pool_dice_mean": float(np.mean(blood)) if blood else None,
            "failed_share": float(failed.mean()),
            "failed_and_flagged_share": float(flagged[failed].mean()) if failed.any() else None,
            "flagged_share": float(flagged.mean()),
            "flag_u_pp": self.flag_u_pp,
            "verdicts": self._verdicts(),
            "heart_found_share": float(
                np.mean([r.centre_error_mm <= FOUND_WITHIN_MM for r in self.rows])
            ),
            "centre_error_mm_median": float(np.median([r.centre_error_mm for r in self.rows])),
            "best_single_member_dice_mean": max(members.values()),
            "member_dice_means": members,
            "member_failed_shares": {
                name: float(np.mean([r.member_dice[name] < FAILED_BELOW for r in self.rows]))
                for name in members
            },
            "pool_average_dice_mean": float(np.mean([r.pool_average_dice for r in self.rows])),
            "members_run_mean": float(np.mean([r.members_run for r in self.rows])),
            "seconds_mean": float(np.mean([r.seconds for r in self.rows])),
        }

    def to_json(self) -> dict[str, object]:
        """Return rows, tables and summary as JSON values."""
        return {
            "series": [_row_json(r) for r in self.rows],
            "ways": [asdict(w) for w in self.ways()],
            "tests": [asdict(t) for t in self.tests()],
            "warnings": [asdict(w) for w in self.warnings()],
            "summary": self.summary(),
            "not_judged": self.not_judged,
        }

    def _verdicts(self) -> dict[str, dict[str, int]]:
        """Return how many series have which verdict, and how many of them failed."""
        found: dict[str, dict[str, int]] = {}
        for row in self.rows:
            counts = found.setdefault(
                row.verdict or "nothing segmented", {"series": 0, "failed": 0}
            )
            counts["series"] += 1
            counts["failed"] += row.myocardium_dice < FAILED_BELOW
        return found


def _way(way: str, values: Sequence[float]) -> WayRow:
    """Return one way's row of the table."""
    dice = np.array(values)
    failed = dice < FAILED_BELOW
    return WayRow(
        way=way,
        mean=float(dice.mean()),
        sd=float(dice.std(ddof=1)) if len(dice) > 1 else None,
        median=float(np.median(dice)),
        failed=int(failed.sum()),
        failed_share=float(failed.mean()),
    )


def _row_json(row: SeriesRow) -> dict[str, object]:
    """Return a series as JSON values."""
    return {
        **asdict(row),
        "failed": row.myocardium_dice < FAILED_BELOW,
        "u_pp": row.u_pp if np.isfinite(row.u_pp) else None,
    }
