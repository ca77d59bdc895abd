"""Cases that are spoilt, what is fitted to them, and the calibration that ships."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.perfusion.trustbundle import BUNDLE, TRUST, put_trust
from models.perfusion.trustcases import WAYS, generated_case, generated_neighbours, spoilt
from models.perfusion.trustfit import fitted
from models.perfusion.trustrows import Row, read_rows, rows_of, write_rows
from models.perfusion.trusttest import judged
from pipeline.analyses.perfusion.networks import open_pool
from pipeline.analyses.perfusion.trust import trust_document, trust_from
from pipeline.infer.bundle import load_bundle
from tests.support.runs import FAST
from tests.support.trust import signs, trust_model


def sound_case():
    """Return the first generated case that is not spoilt."""
    return next(c for seed in range(99) if (c := generated_case(seed)).spoilt == "sound")


@pytest.mark.parametrize("way", WAYS)
def test_each_way_spoils_a_series_and_the_same_draw_does_it_again(way: str) -> None:
    case = sound_case()
    found, again = (spoilt(case, way, np.random.default_rng(7)) for _ in range(2))
    assert found.spoilt == way
    same_frames = np.array_equal(found.frames, case.frames)
    assert not same_frames or found.spacing_mm != case.spacing_mm or any(found.away_mm)
    assert found.frames.shape[1:] == found.truth.shape
    assert (found.truth == 1).any()
    assert np.isfinite(found.frames).all()
    assert found.frames.min() >= 0
    np.testing.assert_array_equal(again.frames, found.frames)
    assert again.away_mm == found.away_mm


def test_of_several_slices_one_is_spoilt() -> None:
    case = generated_neighbours(3)
    index = case.spoilt_slice
    assert index is not None
    assert case.frames.shape[1:] == case.truth.shape
    assert len(case.truth) == 3


def test_rows_survive_their_table(tiny_bundle: Path, tmp_path: Path) -> None:
    pool = open_pool(load_bundle(tiny_bundle))
    rows = rows_of(sound_case(), pool, FAST)
    rows.append(replace(rows[0], name="nothing", signs=None))
    write_rows(rows, tmp_path / "rows.csv")
    assert read_rows(tmp_path / "rows.csv") == rows
    assert 0.0 <= rows[0].dice <= 1.0


def made_up(n_cases: int, seed: int = 0) -> list[Row]:
    """Return cases whose failures are told by U_pp and by nothing else."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n_cases):
        failed = rng.uniform() < 0.4
        own = signs(
            u_pp=float(10 ** rng.normal(-1.5 if failed else -3.0, 0.3)),
            confidence=float(rng.uniform()),
        )
        rows.append(
            Row(
                name=str(number),
                group=f"generated {number}",
                spoilt="noise" if failed else "sound",
                dice=0.3 if failed else 0.9,
                signs=own,
            )
        )
    return rows


def test_what_tells_of_failures_gets_weight() -> None:
    rows = made_up(600)
    model = fitted(rows, "pool", 8)
    weights = {d.name: d.weight for d in model.doubts}
    assert weights["u_pp"] == max(weights.values())
    assert all(weight >= 0 for weight in weights.values())
    assert model.trusted_up_to is not None
    assert model.guarantee is not None
    assert model.guarantee.upper_limit <= model.guarantee.most_failures
    unseen = [(r, r.signs) for r in made_up(300, seed=1) if r.signs]
    scores = np.array([model.failure_probability(s) for _, s in unseen])
    failed = np.array([r.dice < 0.6 for r, _ in unseen])
    assert scores[failed].min() > np.quantile(scores[~failed], 0.9)
    assert failed[scores <= model.trusted_up_to].mean() <= 0.1
    assert trust_from(json.dumps(trust_document(model)).encode(), "file") == model
    assert fitted(rows, "pool", 8) == model


def test_a_cohort_is_told_by_verdict_and_by_way(tiny_bundle: Path, tmp_path: Path) -> None:
    pool = open_pool(load_bundle(tiny_bundle))
    rows = [*made_up(40), replace(made_up(1)[0], spoilt="cut", signs=None, dice=0.0)]
    text = judged({"made up": rows}, replace(pool, trust=trust_model()), tmp_path)
    assert "41 slices, 1 of them without a plausible myocardium" in text
    assert "trust: AUROC" in text
    assert "no segmentation 1 (1 failed)" in text
    found = json.loads((tmp_path / "trust.json").read_text())
    assert [w["score"] for w in found["made up"]] == ["trust", "u_pp"]
    assert (tmp_path / "trust_risk_coverage.png").stat().st_size > 1000


def test_a_calibration_goes_into_the_bundle_of_its_pool_only(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, path = tmp_path / "bundle", tmp_path / "trust.json"
    shutil.copytree(tiny_bundle, folder)
    digest = open_pool(load_bundle(folder)).digest
    assert not put_trust(folder, path)
    path.write_text(json.dumps(trust_document(trust_model(digest))))
    assert put_trust(folder, path)
    assert open_pool(load_bundle(folder)).trust == trust_model(digest)
    path.write_text(json.dumps(trust_document(trust_model("another"))))
    assert not put_trust(folder, path)
    assert open_pool(load_bundle(folder)).trust is None


def test_the_bundle_that_ships_has_the_calibration_that_lies_beside_it() -> None:
    pool = open_pool(load_bundle(BUNDLE))
    beside = trust_from(TRUST.read_bytes(), str(TRUST)) if TRUST.is_file() else None
    assert pool.trust == beside
