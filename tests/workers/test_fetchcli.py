"""The commands that ask other systems, and fetch from them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import NAMES, write_named
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.service import ROOT, free_port

pytestmark = needs_orthanc


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an archive with three small studies."""
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder / "orthanc", aet="PEER") as orthanc:
        orthanc.upload(*(write_named(folder / "named", name)[0] for name in NAMES))
        yield orthanc


@pytest.fixture
def config(archive: Orthanc, tmp_path: Path) -> Path:
    """Return settings that name the archive in each way, and a ledger of the test's own."""
    path = tmp_path / "site.toml"
    dimse = f'ae_title = "PEER"\nhost = "127.0.0.1"\nport = {archive.port}\n'
    path.write_text(
        f'[ledger]\nurl = "{tmp_path / "ledger.db"}"\n[receive]\nfree_mib = 1\n'
        f'[nodes.both]\n{dimse}url = "{archive.url}"\n[nodes.dimse]\n{dimse}'
    )
    return path


def vesalius(config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the command."""
    done = subprocess.run(
        [sys.executable, "-m", "workers.cli", *arguments, "--config", config],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    for secret in ("named-", "Yamada", "ller", "Heart 1^"):
        assert secret not in done.stdout + done.stderr
    return done


def values(config: Path, *arguments: str) -> Any:
    """Call the command, and return the JSON that it prints."""
    done = vesalius(config, *arguments, "--json")
    return json.loads(done.stdout)


def test_nodes_tell_whether_each_is_there(config: Path) -> None:
    done = vesalius(config, "nodes")
    assert done.returncode == 0
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    assert lines == [["both", "C-ECHO"], ["both", "QIDO-RS"], ["dimse", "C-ECHO"]]
    with config.open("a") as file:
        file.write(f'[nodes.away]\nae_title = "X"\nhost = "127.0.0.1"\nport = {free_port()}\n')
    done = vesalius(config, "nodes")
    assert done.returncode == 1
    assert "no connection" in done.stdout


@pytest.mark.parametrize("node", ["both", "dimse"])
def test_a_query_shows_no_patient(config: Path, node: str) -> None:
    found = values(config, "query", node, "--date", "20260101-20260102")["found"]
    assert {one["study_instance_uid"] for one in found} == {"2.25.20001", "2.25.20002"}
    assert {one["instances"] for one in found} == {1}
    assert all("accession_number" not in one for one in found)
    found = values(config, "query", node, "--accession", "A2", "--show-accession")["found"]
    assert [one["accession_number"] for one in found] == ["A2"]
    done = vesalius(config, "query", node, "--study", "2.25.20003", "--level", "image")
    assert done.stdout.split()[-1] == "2.25.10003"
    done = vesalius(config, "query", node, "--patient", "named-1")
    assert "Heart 1" in done.stdout
    assert "A1" not in done.stdout


def test_a_fetch_comes_into_the_inbox_once(config: Path, tmp_path: Path) -> None:
    assert vesalius(config, "fetch", "both").returncode == 2
    (would,) = values(config, "fetch", "both", "--accession", "A1", "--dry-run")["studies"]
    assert (would["instances"], would["there"], would["fetched"]) == (1, 0, 0)
    done = vesalius(config, "fetch", "dimse", "--description", "Heart*", "--by", "get")
    assert done.returncode == 0
    assert "3 studies: 3 instances fetched, 0 were here, 0 studies failed" in done.stderr
    again = values(config, "fetch", "both", "--date", "20260101-")
    assert [one["there"] for one in again["studies"]] == [1, 1, 1]
    assert len(list((tmp_path / "inbox" / "studies").rglob("*.dcm"))) == 3


def test_calls_that_cannot_be_carried_out_are_told(config: Path) -> None:
    for arguments, told in (
        (("query", "nowhere"), "no node 'nowhere'; the nodes are both, dimse"),
        (("query", "both", "--level", "patient"), "no level 'patient'"),
        (("query", "both", "--date", "yesterday"), "a date is YYYYMMDD"),
        (("fetch", "dimse", "--study", "1.2", "--by", "wado"), "has no url"),
        (("fetch", "dimse", "--study", "1.2", "--priors-of", "1.2"), "--priors-of"),
    ):
        done = vesalius(config, *arguments)
        assert done.returncode == 2
        assert told in done.stderr


def test_a_study_that_does_not_come_whole_ends_with_one(config: Path, archive: Orthanc) -> None:
    # The archive does not know this installation as a destination.
    done = vesalius(config, "fetch", "dimse", "--study", "2.25.20001", "--by", "move")
    assert done.returncode == 1
    assert "1 studies failed" in done.stderr


def test_check_looks_at_the_nodes(config: Path) -> None:
    found = values(config, "check")["findings"]
    told = [one["told"] for one in found if one["what"] == "node both"]
    assert [text.split()[0] for text in told] == ["C-ECHO", "QIDO-RS"]
