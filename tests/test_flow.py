"""Flow, from a file of concentrations to the manifest."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.imaging.nifti import read_volume, write_time_series
from pipeline.manifest import JobEntry
from pipeline.phantom import Phantom
from tests.support.runs import Site

SCHEMA = Path(__file__).parents[1] / "docs" / "result.schema.json"
STATED = {"quantity": "concentration", "unit": "mmol/l"}


@pytest.fixture
def concentrations(phantom: Phantom, tmp_path: Path) -> Path:
    """Return a file whose blood peaks at 5 mmol/l; in truth they are signals.

    A power of them undoes some of what a dense bolus bends, so that flows are those of a heart.
    """
    image = phantom.image
    bent = np.maximum(image.array, 0.0) ** np.float32(1.7)
    blood = bent[:, phantom.labels == 2].mean(axis=1)
    peak = float(blood.max() - blood[:3].mean())
    scaled = type(image)(
        array=(bent * np.float32(5.0 / peak)).astype(np.float32),
        affine=image.affine,
        times_s=image.times_s,
        times_are_estimated=False,
    )
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "gd.nii.gz"
    write_time_series(scaled, path, 0.8)
    return path


def flow_of(site: Site, given: Path, output: Path) -> tuple[JobEntry, dict[str, object]]:
    (job,) = site.run(given, output=output).jobs
    assert job.failure is None, job.failure
    document = json.loads((output / "result.json").read_text())
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return job, document["jobs"][0]["flow"]


def test_concentrations_become_flow_in_the_manifest_and_a_map(
    concentrations: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db")
    _, refused = flow_of(site, concentrations, tmp_path / "signal")
    assert refused["basis"] is None
    assert "signals" in str(refused["refused"])
    (concentrations.parent / "gd.json").write_text(json.dumps(STATED))
    job, flow = flow_of(site, concentrations, tmp_path / "out")
    assert not job.reused, "what values are is part of the input"
    assert (flow["basis"], flow["refused"]) == ("concentration", None)
    estimates = flow["estimates"]
    assert isinstance(estimates, list)
    assert {e["method"] for e in estimates} == {"fermi", "model_free"}
    values = read_volume(tmp_path / "out" / job.folder / "flow.nii.gz").array
    assert values.max() > 0


def test_a_site_may_ask_for_research_on_signals(
    concentrations: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    settings = PerfusionSettings(uncertainty_stride=8, flow="research")
    site = Site(bundle=tiny_bundle, ledger=tmp_path / "ledger.db", settings=settings)
    job, flow = flow_of(site, concentrations, tmp_path / "out")
    assert flow["basis"] == "research, from signal"
    assert any(note.startswith("flow: research, from signal") for note in job.all_notes)
    names = {a.relative_path for a in job.artifacts}
    assert "flow_research.nii.gz" in names
    assert "flow.nii.gz" not in names
