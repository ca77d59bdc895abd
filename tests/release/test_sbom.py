"""The bill of the release: of the schema, of what serves, and of no machine."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pipeline.identity import digest_file
from release.lock import canonical, versions_in
from release.sbom import native_files, page_packages

ROOT = Path(__file__).parents[2]


def test_the_native_files_of_a_package_are_those_that_lie_there() -> None:
    found = {
        str(each["name"]): each["hashes"][0]["content"] for each in native_files("onnxruntime")
    }
    (library,) = (name for name in found if "onnxruntime_pybind11_state" in name)
    import onnxruntime

    place = Path(onnxruntime.__file__).parents[1] / library
    assert found[library] == digest_file(place)
    assert native_files("typer") == []


def test_the_packages_of_the_page_are_those_of_its_lock() -> None:
    lock = json.loads((ROOT / "page" / "package-lock.json").read_text())
    found = {each["bom-ref"]: each for each in page_packages(lock)}
    assert len(found) == len([place for place in lock["packages"] if place])
    shipped = {each["name"] for each in found.values() if each["scope"] == "required"}
    assert {"svelte", "uplot", "@niivue/niivue"} <= shipped
    assert "vitest" not in shipped
    assert found["npm:node_modules/@niivue/niivue"]["purl"].startswith("pkg:npm/%40niivue/niivue@")
    assert all(len(each["hashes"][0]["content"]) == 128 for each in found.values())


@pytest.mark.timeout(900)
def test_the_bills_of_a_release_are_of_the_schema_and_of_what_serves(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "release.sbom", "--output", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 4
    (product,) = (path for path in tmp_path.iterdir() if path.name.count("-") == 1)
    text = product.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert str(ROOT) not in text
    assert sys.prefix not in text
    bill = json.loads(text)
    python = {canonical(c["name"]): c for c in bill["components"] if "pkg:pypi" in c["purl"]}
    serving = versions_in((ROOT / "requirements.lock").read_text())
    assert python.keys() <= serving.keys()
    assert python["onnxruntime"]["version"] == version("onnxruntime")
    assert python["onnxruntime"]["licenses"]
    assert python["onnxruntime"]["components"]
    assert "torch" not in python
