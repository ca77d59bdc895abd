"""Signs and calibrations for tests."""

from typing import Any

from pipeline.analyses.perfusion.trust import Doubt, TrustModel
from pipeline.analyses.perfusion.verdict import Guarantee, Signs

GUARANTEE = Guarantee(
    most_failures=0.1, confidence=0.9, n_cases=100, n_trusted=60, n_failed=0, upper_limit=0.074
)


def signs(**other: Any) -> Signs:
    """Return the signs of a sound segmentation, some of them otherwise."""
    values: dict[str, Any] = {
        "u_pp": 0.001,
        "margin": 1.5,
        "agreement": 0.95,
        "chosen_agreement": 0.95,
        "enclosed": 1.0,
        "one_piece": 1.0,
        "myocardium_area_mm2": 1500.0,
        "area_ratio": 0.8,
        "thickness_spread": 0.2,
        "blood_rise": 0.7,
        "wall_rise": 0.3,
        "rise_ratio": 0.4,
        "lag_beats": 6.0,
        "confidence": 0.8,
        "off_centre_mm": 2.0,
        "motion_mm": 2.0,
    }
    return Signs(**{**values, **other})


def trust_model(pool: str = "", **other: Any) -> TrustModel:
    """Return a calibration of four signs, one of them bad on both sides."""
    values: dict[str, Any] = {
        "pool": pool,
        "uncertainty_stride": 8,
        "failed_below": 0.6,
        "doubts": (
            Doubt(name="u_pp", typical=None, none_at=-3.0, full_at=-1.0, weight=3.0),
            Doubt(name="agreement", typical=None, none_at=0.9, full_at=0.4, weight=4.0),
            Doubt(name="lag_beats", typical=6.0, none_at=2.0, full_at=10.0, weight=2.0),
            Doubt(name="margin", typical=None, none_at=0.1, full_at=0.0, weight=0.0),
        ),
        "intercept": -3.0,
        "trusted_up_to": 0.1,
        "guarantee": GUARANTEE,
        "made_from": "tests",
    }
    return TrustModel(**{**values, **other})
