"""Risks name requirements, requirements name tests, and all of them exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.service import ROOT

TESTS = ROOT / "tests"
REFERENCE = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
REQUIREMENT = re.compile(r"R-\d\d")


def table(name: str) -> list[list[str]]:
    """Return the cells of the rows of a page whose first cell is an identifier."""
    lines = (ROOT / "docs" / name).read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [cells for cells in rows if re.fullmatch(r"[RHT]-\d\d", cells[0])]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of a file's tests."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


REQUIREMENTS = {cells[0]: cells for cells in table("requirements.md")}
RISKS = {cells[0]: cells for cells in table("risks.md")}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_each_requirement_has_tests_that_exist(name: str) -> None:
    references = REFERENCE.findall(REQUIREMENTS[name][2])
    assert references
    assert REFERENCE.sub("", REQUIREMENTS[name][2]).strip() == ""
    for path, test in references:
        assert test in names_in(TESTS / path), f"{path} has no {test}"


@pytest.mark.parametrize("name", RISKS)
def test_each_risk_is_controlled_by_requirements_that_exist(name: str) -> None:
    controls = REQUIREMENT.findall(RISKS[name][4])
    assert controls
    assert set(controls) <= set(REQUIREMENTS)


def test_each_requirement_is_there_for_a_risk() -> None:
    used = {control for cells in RISKS.values() for control in REQUIREMENT.findall(cells[4])}
    assert set(REQUIREMENTS) == used


def test_what_the_threat_model_names_exists() -> None:
    references = REFERENCE.findall((ROOT / "docs" / "security.md").read_text())
    assert references
    for path, test in references:
        assert test in names_in(TESTS / path), f"{path} has no {test}"
