"""The page's build: the same bytes each time, nothing inline, nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.reviewpage import ROOT

BIN = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(
    not ((ROOT / "page" / "node_modules" / "vite").is_dir() and (BIN / "npm").exists()),
    reason="the page's packages are not installed (make page)",
)


def build(folder: Path) -> dict[str, bytes]:
    """Build the page into a folder; return its files."""
    done = subprocess.run(
        ["npm", "--prefix", "page", "run", "--silent", "build", "--", "--outDir", folder],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(tmp_path_factory.mktemp("page") / "first")


def test_two_builds_are_the_same(built: dict[str, bytes], tmp_path: Path) -> None:
    again = build(tmp_path / "a folder of another name")
    assert again.keys() == built.keys()
    assert [name for name in built if built[name] != again[name]] == []


def test_the_document_has_nothing_inline_and_nothing_from_elsewhere(
    built: dict[str, bytes],
) -> None:
    document = built["index.html"].decode()
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", document) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)", document) == []
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", document)
    assert addresses
    assert [address for address in addresses if not address.startswith("./")] == []


def test_styles_fetch_nothing(built: dict[str, bytes]) -> None:
    styles = [text.decode() for name, text in built.items() if name.endswith(".css")]
    assert styles
    assert [found for text in styles for found in re.findall(r"url\([^)]*\)|@import", text)] == []


def test_licences_of_what_is_shipped_are_shipped(built: dict[str, bytes]) -> None:
    text = built["licences.txt"].decode()
    for name in ("@niivue/niivue", "svelte", "uplot"):
        assert re.search(rf"^{re.escape(name)} \d", text, re.MULTILINE), name
