"""What is wrong with a deployment is told before it runs, each thing with its remedy."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT, free_port
from tests.support.tally import SITE, write_tally_bundle
from tests.support.valkey import Valkey


def check(folder: Path, settings: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Call the command; return its status, and what it found of each thing."""
    config = folder / "site.toml"
    config.write_text(settings)
    found = subprocess.run(
        [sys.executable, "-m", "workers.cli", "check", "--json", "--config", config],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in found.stderr
    findings = json.loads(found.stdout)["findings"]
    return found.returncode, {f["what"]: (f["level"], f["told"], f["remedy"]) for f in findings}


def test_a_deployment_that_is_right_is_said_to_be(tmp_path: Path) -> None:
    models = write_tally_bundle(tmp_path / "models")
    with Valkey(tmp_path / "broker") as broker:
        status, found = check(
            tmp_path,
            f'[models]\npath = "{models}"\n[ledger]\nurl = "{tmp_path / "ledger.db"}"\n'
            f'[service]\nbroker = "{broker.url}"\noutput = "{tmp_path / "out"}"\n',
        )
    assert status == 0
    # Not every kernel keeps files and connections from those that read.
    assert "resource limits" in found.pop("readers")[1]
    # Whether something keeps the machine's clock is the machine's.
    level, told, remedy = found.pop("clock source")
    assert (level == "ok") == told.startswith("synchronised")
    assert bool(remedy) == (level == "warn")
    assert {level for level, _, _ in found.values()} == {"ok"}
    assert set(found) >= {"broker", "ledger", "clock", "results", "cores", "providers"}
    assert found["bundle tally"][1].endswith("every byte as listed")


def test_each_thing_that_is_wrong_is_told_with_its_remedy(tmp_path: Path) -> None:
    models = write_tally_bundle(tmp_path / "models")
    graph = models / "tally" / "bundle" / "models" / "tally.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    (tmp_path / "taken").write_text("a file where a folder should be")
    status, found = check(
        tmp_path,
        f'[models]\npath = "{models}"\n[ledger]\nurl = "postgresql://u:secret@127.0.0.1:9/none"\n'
        f'[service]\nbroker = "redis://:secret@127.0.0.1:{free_port()}/0"\n'
        f'output = "{tmp_path / "taken"}"\n[worker]\nprocesses = 99\nthreads = 99\n'
        'providers = ["CUDAExecutionProvider"]\n',
    )
    assert status == 1
    wrong = {what for what, (level, _, _) in found.items() if level == "fail"}
    assert wrong == {"broker", "ledger", "results", "bundles", "cores", "providers"}
    assert all(found[what][2] for what in wrong)
    assert "onnxruntime-gpu" in found["providers"][1]
    assert "secret" not in str(found)
