"""Manifests: read whole, or refused by the name of what is wrong."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundled.manifest import parse_manifest, read_manifest
from pipeline.errors import UnusableCall
from pipeline.routing.attributes import Attributes
from tests.support.zoo import MANIFEST


def document(**changes: object) -> dict[str, Any]:
    return {**tomllib.loads(MANIFEST), **changes}


def label(**changes: object) -> list[dict[str, Any]]:
    first: dict[str, Any] = document()["labels"][0]
    return [{**first, **changes}]


def test_a_manifest_says_what_is_taken_and_what_labels_are(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(MANIFEST)
    manifest = parse_manifest(read_manifest(tmp_path / "m.toml"))
    assert manifest.analysis == "organs"
    assert manifest.outputs == ("segmentation", "report", "nifti")
    assert [(s.value, s.name, s.label) for s in manifest.labels] == [
        (1, "liver", "Liver"),
        (2, "spleen", "Spleen"),
    ]
    assert manifest.labels[0].kind.scheme == "SCT"
    assert manifest.labels[0].colour == (0xDD, 0x82, 0x65)


def test_conditions_are_those_of_routing_rules() -> None:
    manifest = parse_manifest(document(unless={"series_description": "*scout*"}))
    fits = {"modality": "CT", "series_description": "Abdomen"}
    numbers = {"slices": 40, "time_steps": 1, "rows": 4, "columns": 4, "instances": 40}
    assert manifest.why_not(Attributes(texts=fits, numbers=numbers)) is None
    other = Attributes(texts={**fits, "modality": "MR"}, numbers=numbers)
    assert manifest.why_not(other) == (
        "organs takes a series only where modality is 'CT' or 'NIFTI'"
    )
    thin = Attributes(texts=fits, numbers={**numbers, "slices": 2})
    assert manifest.why_not(thin) == "organs takes a series only where slices is at least 4"
    scout = Attributes(texts={**fits, "series_description": "Scout"}, numbers=numbers)
    assert "takes no series where series_description" in str(manifest.why_not(scout))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "Organs 2"}, "name is 'Organs 2', needed are lower-case letters and digits"),
        ({"name": "perfusion"}, "name is 'perfusion'"),
        ({"takes": {"slices": 3}}, "takes.modality is missing"),
        ({"takes": {"modality": "CT", "colour": "red"}}, "unknown key takes.colour"),
        ({"code": 3}, "unknown key code"),
        ({"labels": []}, "labels is no list of tables"),
        ({"labels": label(value=0)}, r"labels\[1\].value is 0, needed is a whole number"),
        ({"labels": label(name="Left liver")}, r"labels\[1\].name is 'Left liver'"),
        ({"labels": label(type={"code": "1"})}, r"labels\[1\].type.meaning is None"),
        ({"labels": label(type={"code": "1" * 17, "meaning": "x"})}, "up to 16 characters"),
        ({"labels": label(category=None)}, r"labels\[1\].category is no table"),
        ({"labels": label(colour="green")}, "needed is a colour such as #2ca02c"),
        ({"labels": label(label="a\\b")}, "has a backslash"),
        ({"labels": label() + label()}, "labels: two have the same value"),
        ({"labels": label() + label(value=2)}, "labels: two have the same name"),
        ({"outputs": ["video"]}, "outputs is .'video'., possible is"),
        ({"outputs": ["report"]}, "a report without the segmentation"),
    ],
)
def test_what_is_not_possible_is_refused_by_name(change: dict[str, object], reason: str) -> None:
    with pytest.raises(UnusableCall, match=reason):
        parse_manifest(document(**change))


def test_a_file_that_is_no_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableCall, match=r"none\.toml: cannot be read"):
        read_manifest(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_text("name =")
    with pytest.raises(UnusableCall, match=r"m\.toml: not TOML"):
        read_manifest(tmp_path / "m.toml")
