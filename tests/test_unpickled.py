"""Nothing is unpickled where studies are processed, and no message of the queue can make it so."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import dumps, loads, prepare_accept_content

from pipeline.config import Configuration, ServiceSettings
from tests.support.bundles import write_tiny_bundle
from workers.app import make_app

ROOT = Path(__file__).parents[1]

FORBIDDEN = frozenset(
    ("pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "yaml")
) | {"torch", "safetensors.torch", "jsonpickle", "pandas"}
"""Modules that make objects of any class from bytes, or load files that do."""


def served() -> list[Path]:
    """Return the files that serve; what imports models is an extra, and runs in its own process."""
    return [
        path for room in ("pipeline", "workers") for path in sorted((ROOT / room).rglob("*.py"))
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def pickled_loads(tree: ast.AST) -> Iterator[str]:
    """Yield calls of ``np.load`` that do not say that nothing may be unpickled."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            said = {k.arg: k.value for k in node.keywords}.get("allow_pickle")
            if not (isinstance(said, ast.Constant) and said.value is False):
                yield ast.unparse(node)


def test_what_serves_imports_nothing_that_unpickles() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in served()
        for name in imported(ast.parse(path.read_text()))
        if name.split(".")[0] in FORBIDDEN or name in FORBIDDEN
    }
    assert found == set()


def test_every_array_is_loaded_without_pickles() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {call}"
        for path in served()
        for call in pickled_loads(ast.parse(path.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from joblib import load", "import torch.nn", "import_module('shelve')"],
)
def test_the_search_for_imports_finds_them(code: str) -> None:
    assert {name.split(".")[0] for name in imported(ast.parse(code))} & FORBIDDEN


@pytest.mark.parametrize("code", ["np.load(p)", "np.load(p, allow_pickle=True)"])
def test_the_search_for_loads_finds_them(code: str) -> None:
    assert list(pickled_loads(ast.parse(code))) == [code]
    assert list(pickled_loads(ast.parse("np.load(p, allow_pickle=False)"))) == []


def test_no_class_is_looked_up_by_a_pickle_while_a_bundle_is_opened_and_run(
    tmp_path: Path,
) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    program = """
import sys
def seen(event, arguments):
    if event == "pickle.find_class":
        raise RuntimeError(f"unpickled {arguments}")
sys.addaudithook(seen)
from pathlib import Path
import numpy as np
from pipeline.infer.bundle import load_bundle
from pipeline.infer.session import open_session
import pipeline.job, pipeline.perform, workers.tasks
for network in load_bundle(Path(sys.argv[1])).networks:
    session = open_session(network, threads=1)
    (told,) = session.get_inputs()
    shape = [n if isinstance(n, int) else 16 for n in told.shape]
    session.run(None, {told.name: np.zeros(shape, np.float32)})
import pickle
try:
    pickle.loads(pickle.dumps(Path))
except RuntimeError:
    print("the hook sees")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, folder],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "the hook sees"), done.stderr


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:6379/0", "amqp://127.0.0.1//"])
def test_the_queue_takes_json_and_nothing_else(broker: str) -> None:
    conf = make_app(Configuration(service=ServiceSettings(broker=broker))).conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == conf.result_serializer == conf.event_serializer == "json"
    assert conf.result_accept_content in (None, ["json"])
    accepted = prepare_accept_content(conf.accept_content)
    for serializer in ("pickle", "yaml"):
        kind, encoding, payload = dumps({"job": 1}, serializer=serializer)
        with pytest.raises(ContentDisallowed):
            loads(payload, kind, encoding, accept=accepted)
    kind, encoding, payload = dumps({"job": 1}, serializer="json")
    assert loads(payload, kind, encoding, accept=accepted) == {"job": 1}
