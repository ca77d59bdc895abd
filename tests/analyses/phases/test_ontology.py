"""Procedures are data: names, codes and colours, and how data sets' names are found in them."""

import json
import tomllib
from importlib.resources import files

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.analyses.phases.ontology import load_procedure, parse_procedure, procedure_names
from pipeline.errors import UnusableCall
from tests.support.realdata import real_data


def test_two_procedures_are_known() -> None:
    assert procedure_names() == ("cholecystectomy", "gastric_bypass")
    assert len(load_procedure("cholecystectomy").phases) == 7
    assert len(load_procedure("gastric_bypass").phases) == 12
    with pytest.raises(UnusableCall, match="no procedure 'hernia'; known are cholecystectomy"):
        load_procedure("hernia")


@pytest.mark.parametrize("name", procedure_names())
def test_colours_are_told_apart_also_without_red_or_green(name: str) -> None:
    phases = load_procedure(name).phases
    rgb = np.array([[int(p.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for p in phases])
    # Viénot, Brettel and Mollon 1999: how a deuteranope sees linear RGB.
    seen = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for colours in (rgb, np.clip(rgb**2.2 @ seen.T, 0, 1) ** (1 / 2.2)):
        lab = rgb2lab(colours[None])[0]
        apart = deltaE_ciede2000(lab[:, None], lab[None])
        assert apart[~np.eye(len(phases), dtype=bool)].min() > 5


def test_a_data_sets_own_names_are_found() -> None:
    procedure = load_procedure("cholecystectomy")
    with np.load(real_data("surgical", "cholec80_labels_1fps.npz")) as labels:
        columns = [procedure.column_of(str(n)) for n in labels["phase_names"]]
    assert columns == list(range(7))
    theirs = ("carlot-triangle-dissection", "clipping-and-cutting", "gallbladder-extraction")
    assert [procedure.column_of(name) for name in theirs] == [1, 2, 6]
    with pytest.raises(UnusableCall, match="cholecystectomy has no phase 'suturing'"):
        procedure.column_of("suturing")


def test_overlays_of_gastric_bypass_labels_are_no_phases() -> None:
    procedure = load_procedure("gastric_bypass")
    folder = real_data("surgical", "gastric_bypass_labels", "labels")
    labels = set()
    for path in folder.rglob("*.json"):
        labels |= {p["label_name"] for p in json.loads(path.read_text())["phases"]}
    assert labels - set(procedure.names) == {"out_of_body", "severe_index"}
    assert set(procedure.names) < labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "colour 'red' is not #RRGGBB"),
        ({"code": "CHOLE-CALOT"}, "a code stands there twice"),
        ({"name": "Clipping-Cutting"}, "a name stands there twice"),
        ({"code": "A-CODE-THAT-IS-TOO-LONG"}, "at most 16 characters"),
        ({"number": "1"}, "a table needs exactly name, code, meaning, colour"),
        ({"also": ["clipping and cutting"]}, "a name stands there twice"),
        ({"also": "prep"}, "also is 'prep', not a list"),
        ({"meaning": ""}, "meaning is '', not a text"),
    ],
)
def test_a_file_that_is_wrong_is_refused(change: dict[str, str], message: str) -> None:
    file = files("pipeline.analyses.phases") / "procedures" / "cholecystectomy.toml"
    document = tomllib.loads(file.read_text())
    document["phases"][0] |= change
    with pytest.raises(UnusableCall, match=message):
        parse_procedure(document)
