"""What holds for the project as a whole: layers, dependencies, hooks, versions, the tree."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from identify.identify import tags_from_path

import pipeline

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@cache
def tree() -> tuple[str, ...]:
    """Return the files of the project: those that git tracks, and those that it would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def test_imports_point_down_the_layers() -> None:
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_serving_imports_no_torch_and_no_queue() -> None:
    program = """
import importlib, pkgutil, sys, pipeline
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    if not module.name.startswith("pipeline.ledger.migrations"):
        importlib.import_module(module.name)
assert "pipeline.encode.perfusion" in sys.modules
forbidden = {"torch", "monai", "onnx", "celery", "kombu", "models", "workers", "tests"}
print(*sorted(forbidden & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def test_the_package_is_of_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == pipeline.__version__


def test_every_hook_applies_to_some_file() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert len(hooks) == 4
    for hook in hooks:
        matched = [
            name
            for name in tree()
            if re.search(hook.get("files", ""), name)
            and ("types_or" not in hook or tags_from_path(str(ROOT / name)) & set(hook["types_or"]))
        ]
        assert matched, f"{hook['id']} applies to no file"


def test_every_hook_calls_a_tool_that_is_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for hook in (hook for repo in config["repos"] for hook in repo["hooks"]):
        tool = Path(hook["entry"].split()[0])
        assert tool.parent == Path(".venv/bin")
        assert (BIN / tool.name).is_file(), tool


def test_the_tree_names_no_machine_and_no_registry() -> None:
    places = [
        *("/" + name + "/" for name in ("work", "root", "opt/pypi", "opt/wheels")),
        "bash" + "_jobs",
        "index-" + "url",
        "find-" + "links",
        "file:" + "///",
    ]
    found = []
    for name in tree():
        content = (ROOT / name).read_bytes()
        found += [f"{name}: {place}" for place in places if place.encode() in content]
    assert found == []


def test_no_file_is_too_large_for_a_repository() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tree()}
    assert {name: size for name, size in sizes.items() if size > 5_000_000} == {}


def test_python_files_have_one_subject() -> None:
    long = {
        name: lines
        for name in tree()
        if name.endswith(".py")
        and not name.startswith("tests/")
        and (lines := len((ROOT / name).read_text().splitlines())) > 400
    }
    assert long == {}


def test_a_broad_except_stands_only_where_a_job_or_a_delivery_ends() -> None:
    broad = [
        name
        for name in tree()
        if name.startswith(("pipeline/", "workers/")) and name.endswith(".py")
        for line in (ROOT / name).read_text().splitlines()
        if re.match(r"\s*except\s*(\(?\s*(Base)?Exception\b.*)?:", line)
    ]
    assert broad == ["pipeline/job.py", "pipeline/work.py", "workers/deliverer.py"]


def test_constraints_pin_every_dependency_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pinned = {
        canonical(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = [
        *project["dependencies"],
        *(name for extra in ("dev", "train", "postgres") for name in extras[extra]),
    ]
    names = {canonical(re.split(r"[\[<>=~ ]", requirement)[0]) for requirement in wanted}
    assert names <= pinned, names - pinned


@pytest.mark.parametrize("target", ["demo", "test", "bench", "train"])
def test_make_knows_what_the_readme_says(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert "make test" in script.read_text()


def test_every_command_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    for command in ("vesalius run", "vesalius evaluate perfusion", "make demo", "make test"):
        assert command in text
    for name in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / name).exists(), f"README refers to {name}"


def canonical(name: str) -> str:
    """Return the name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
