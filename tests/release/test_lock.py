"""The locks: the versions of the constraints, a digest for each file, and nothing of a machine."""

import re
import tomllib
from pathlib import Path

import pytest

from release.lock import LOCKS, canonical, entries_of, versions_in

ROOT = Path(__file__).parents[2]
DIGEST = re.compile(r"--hash=sha256:[0-9a-f]{64}( \\)?$")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_digests(name: str) -> None:
    entries = entries_of((ROOT / name).read_text())
    assert len(entries) > 100
    for entry in entries:
        first, *digests = (line.strip() for line in entry.splitlines())
        assert "==" in first
        assert digests, first
        assert [line for line in digests if not DIGEST.fullmatch(line)] == []
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_versions_of_the_constraints(name: str) -> None:
    pinned = {
        canonical(line.split("==")[0]): line.split("==")[1]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    found = versions_in((ROOT / name).read_text())
    assert {k: v for k, v in found.items() if k in pinned and pinned[k] != v} == {}
    elsewhere = {"async-timeout", "colorama", "pywin32", "setuptools"}
    assert found.keys() - pinned.keys() <= elsewhere, "a package of another platform alone"


@pytest.mark.parametrize(("name", "extras"), LOCKS.items())
def test_a_lock_holds_all_that_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    names = {canonical(re.split(r"[\[<>=~ ]", requirement)[0]) for requirement in wanted}
    assert names - versions_in((ROOT / name).read_text()).keys() == set()


def test_what_serves_has_neither_torch_nor_tools_of_tests() -> None:
    found = versions_in((ROOT / "requirements.lock").read_text()).keys()
    assert found & {"torch", "monai", "onnx", "pytest", "ruff"} == set()
