"""The bill of materials of each model that ships, held against the schema."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from typer.testing import CliRunner

from pipeline.infer.bundle import load_bundle
from pipeline.mlbom import ml_bom
from workers.cli import app

MODELS = Path(__file__).parents[1] / "models"


@pytest.mark.parametrize("name", ["perfusion", "phases", "reconstruction"])
def test_the_bill_of_a_model_that_ships_is_of_the_schema(name: str) -> None:
    done = CliRunner().invoke(app, ["models", "sbom", name])
    assert done.exit_code == 0, done.stderr
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.stdout) is None
    told, bundle = json.loads(done.stdout), load_bundle(MODELS / name / "bundle")
    model = told["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", bundle.name)
    assert bundle.digest in model["bom-ref"]
    assert model["modelCard"]["modelParameters"]["datasets"]
    assert "research" in " ".join(model["modelCard"]["considerations"]["useCases"]).lower()
    assert model["modelCard"]["considerations"]["technicalLimitations"]
    assert "Apache" in model["licenses"][0]["license"]["text"]["content"]
    hashes = {c["name"]: c["hashes"][0]["content"] for c in told["components"] if "hashes" in c}
    for network in bundle.networks:
        assert hashes[f"models/{network.name}.onnx"] == network.sha256
    assert CliRunner().invoke(app, ["models", "sbom", name]).stdout == done.stdout


def test_a_bill_is_written_of_a_folder_and_of_little(tiny_bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "bill.json"
    done = CliRunner().invoke(app, ["models", "sbom", str(tiny_bundle), "--output", str(place)])
    assert done.exit_code == 0, done.stderr
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(place.read_text()) is None
    assert json.loads(place.read_text()) == ml_bom(load_bundle(tiny_bundle))


def test_the_bill_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    words = ["models", "sbom", "none@1.0.0", "--ledger", str(tmp_path / "ledger.db")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "no version" in done.stderr) == (2, True)
