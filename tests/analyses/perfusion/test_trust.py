"""From signs to verdicts, and the calibration that they come from."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyses.perfusion.analysis import analyse
from pipeline.analyses.perfusion.guarantee import fewest_cases, guaranteed_threshold
from pipeline.analyses.perfusion.networks import open_pool, with_site_trust
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.trust import (
    WORDS,
    assess,
    parse_trust,
    trust_document,
    trust_from,
    trust_notes,
)
from pipeline.analyses.perfusion.verdict import Signs, Verdict
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.infer.bundle import load_bundle
from pipeline.phantom import Phantom
from tests.support.plainseries import plain_series
from tests.support.runs import FAST
from tests.support.trust import signs, trust_model

MODEL = trust_model()


def test_each_sign_has_its_words() -> None:
    assert set(WORDS) == {f.name for f in fields(Signs)}
    for words in WORDS.values():
        assert words.format(1.0) != words


@settings(deadline=None)
@given(
    u_pp=st.floats(1e-6, 10.0),
    factor=st.floats(1.0, 100.0),
    agreement=st.floats(0.0, 1.0),
    loss=st.floats(0.0, 1.0),
)
def test_a_worse_sign_never_speaks_for_a_segmentation(
    u_pp: float, factor: float, agreement: float, loss: float
) -> None:
    before = MODEL.failure_probability(signs(u_pp=u_pp, agreement=agreement))
    worse = signs(u_pp=u_pp * factor, agreement=agreement * (1 - loss))
    assert 0.0 < before <= MODEL.failure_probability(worse) < 1.0


@settings(deadline=None)
@given(away=st.floats(0.0, 30.0))
def test_a_sign_that_is_bad_on_both_sides_is_so_alike(away: float) -> None:
    later, earlier = (
        MODEL.failure_probability(signs(lag_beats=6.0 + side * away)) for side in (1, -1)
    )
    assert later == pytest.approx(earlier)


def test_verdicts_follow_the_probability() -> None:
    assert [MODEL.verdict(p) for p in (0.05, 0.1, 0.2, 0.5, 0.9)] == [
        *(Verdict.TRUSTED, Verdict.TRUSTED, Verdict.REVIEW),
        *(Verdict.NOT_TRUSTED, Verdict.NOT_TRUSTED),
    ]
    assert replace(MODEL, trusted_up_to=None).verdict(0.0) is Verdict.REVIEW


def test_what_speaks_against_is_named_the_strongest_first() -> None:
    bad = signs(u_pp=0.1, agreement=0.3)
    found = assess({0: signs(), 2: bad}, MODEL)
    assert found is not None
    assert [s.verdict for s in found.slices] == [Verdict.TRUSTED, Verdict.NOT_TRUSTED]
    assert found.verdict is Verdict.NOT_TRUSTED
    assert found.slices[0].against == ()
    assert found.slices[1].against == ("the members agree with a Dice of 0.30", "U_pp is 0.1000")
    (note,) = trust_notes(found)
    assert note.startswith("slice 2: the segmentation is not trusted: the members agree")


def test_a_sign_that_is_not_there_counts_for_nothing() -> None:
    assert MODEL.failure_probability(signs(agreement=None)) == pytest.approx(
        MODEL.failure_probability(signs(agreement=0.95))
    )


def test_without_a_calibration_signs_are_told_and_nothing_is_made_of_them() -> None:
    found = assess({0: signs(u_pp=9.0)}, None)
    assert found is not None
    assert (found.verdict, found.failed_below) == (Verdict.NOT_CALIBRATED, None)
    assert found.slices[0].signs == signs(u_pp=9.0)
    assert list(trust_notes(found)) == []
    assert assess({}, MODEL) is None


def test_a_calibration_survives_its_file() -> None:
    for model in (MODEL, replace(MODEL, trusted_up_to=None, guarantee=None)):
        content = json.dumps(trust_document(model)).encode()
        assert trust_from(content, "file") == model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 2}, "no trust calibration of version 1"),
        ({"members": []}, "fields are missing or more"),
        ({"doubts": [{"name": "u_pp"}]}, "fields are missing or more"),
        (
            {"doubts": [{**asdict(MODEL.doubts[0]), "name": "mood"}]},
            "'mood' is no sign",
        ),
        ({"doubts": [{**asdict(MODEL.doubts[0]), "weight": -1.0}]}, "weight below 0"),
        ({"doubts": [{**asdict(MODEL.doubts[0]), "full_at": -3.0}]}, "no range"),
        ({"intercept": float("nan")}, "not finite"),
        ({"intercept": "high"}, "fields are missing or more"),
    ],
)
def test_what_is_no_calibration_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(UnusableCall, match=reason):
        parse_trust({**trust_document(MODEL), **change}, "file")


def test_the_threshold_keeps_what_it_promises() -> None:
    """Risk grows with the score: of 300 calibrations, at most a tenth may trust too much."""
    rng = np.random.default_rng(1)
    broken = found = 0
    for _ in range(300):
        scores = rng.uniform(0, 1, 600)
        answer = guaranteed_threshold(scores, rng.uniform(0, 1, 600) < scores**2, 0.1, 0.9)
        if answer is not None:
            found += 1
            # Mean of the risk up to the threshold.
            broken += answer[0] ** 2 / 3 > 0.1
    assert found > 150
    assert broken <= 30


def test_too_few_cases_or_too_many_failures_have_no_threshold() -> None:
    enough = fewest_cases(0.1, 0.9)
    for n_cases, there in ((enough - 1, False), (enough, True)):
        scores, failed = np.linspace(0, 1, n_cases), np.zeros(n_cases, dtype=bool)
        assert (guaranteed_threshold(scores, failed, 0.1, 0.9) is not None) is there
    many = guaranteed_threshold(np.linspace(0, 1, 200), np.ones(200, dtype=bool), 0.1, 0.9)
    assert many is None
    assert guaranteed_threshold(np.array([]), np.array([], dtype=bool), 0.1, 0.9) is None


def test_a_site_has_its_own_calibration_of_the_same_pool(tiny_bundle: Path, tmp_path: Path) -> None:
    pool = open_pool(load_bundle(tiny_bundle))
    assert pool.trust is None
    assert with_site_trust(pool, PerfusionSettings()) is pool
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(trust_document(trust_model(pool.digest))))
    settings = PerfusionSettings(trust=path)
    assert with_site_trust(pool, settings).trust == trust_model(pool.digest)
    known = settings.as_dict()
    assert PerfusionSettings(trust=path, trust_digest=str(known["trust_digest"])).trust_bytes()
    path.write_text(json.dumps(trust_document(trust_model("another"))))
    with pytest.raises(UnusableCall, match="made with another pool"):
        with_site_trust(pool, settings)
    with pytest.raises(UnusableCall, match="has changed"):
        PerfusionSettings(trust=path, trust_digest=str(known["trust_digest"])).as_dict()
    path.write_text("{")
    with pytest.raises(UnusableCall, match="not JSON"):
        with_site_trust(pool, settings)
    path.unlink()
    with pytest.raises(UnusableCall, match="cannot be read"):
        with_site_trust(pool, settings)


def test_a_bundle_with_the_calibration_of_another_pool_is_refused(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    for document, reason in (
        (trust_document(trust_model("another")), "made with another pool"),
        ({}, "no trust calibration"),
    ):
        with pytest.raises(BundleRejected, match=reason):
            open_pool(replace(bundle, settings={**bundle.settings, "trust": document}))
    own = trust_document(trust_model(open_pool(bundle).digest))
    opened = open_pool(replace(bundle, settings={**bundle.settings, "trust": own}))
    assert opened.trust is not None


def test_a_result_has_the_verdicts_of_its_slices(phantom: Phantom, tiny_bundle: Path) -> None:
    series = plain_series(phantom.image)
    pool = open_pool(load_bundle(tiny_bundle))
    strict = trust_model(pool.digest, intercept=9.0)
    found = analyse(series, replace(pool, trust=strict), FAST)
    assert found.trust is not None
    assert found.trust.verdict is Verdict.NOT_TRUSTED
    assert sum("not trusted" in note for note in found.notes) == len(found.trust.slices)
    for one, own in zip(found.trust.slices, found.slices, strict=True):
        assert one.signs.u_pp == own.u_pp
        assert one.signs.enclosed > 0.5
    plain = analyse(series, pool, FAST)
    assert plain.trust is not None
    assert plain.trust.verdict is Verdict.NOT_CALIBRATED
    np.testing.assert_array_equal(plain.segmentation.array, found.segmentation.array)
