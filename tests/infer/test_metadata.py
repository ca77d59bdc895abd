"""MONAI's own ``verify_metadata`` accepts the metadata of our bundles, without a network.

MONAI fetches the schema that the metadata name unless it is there already: it is, written
from MONAI's specification.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCHEMA = Path(__file__).parent / "monai_metadata_schema.json"
SHIPPED = sorted(Path(__file__).parents[2].glob("models/*/bundle/configs/metadata.json"))

PROGRAM = """
import shutil, sys
from monai.bundle import verify_metadata
schema, folder, *files = sys.argv[1:]
for number, file in enumerate(files):
    try:
        verify_metadata(meta_file=file, filepath=shutil.copy(schema, f"{folder}/{number}.json"))
    except ValueError as problem:
        print(f"refused: {file}: {problem}")
    else:
        print(f"accepted: {file}")
"""


def verdicts(tmp_path: Path, files: list[Path]) -> list[str]:
    """Return MONAI's verdict on each file; it is imported once and elsewhere, for it warns."""
    found = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            PROGRAM,
            str(SCHEMA),
            str(tmp_path),
            *map(str, files),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = found.stdout.splitlines()
    return [line.split(":")[0] for line in lines if line.startswith(("accepted", "refused"))]


def test_monai_accepts_our_metadata_and_refuses_them_incomplete(
    sound_bundle: Path, tmp_path: Path
) -> None:
    good = json.loads((sound_bundle / "configs/metadata.json").read_text())
    files = [sound_bundle / "configs/metadata.json", *SHIPPED]
    damaged = []
    for key in ("authors", "monai_version", "network_data_format", "required_packages_version"):
        damaged.append(tmp_path / f"without_{key}.json")
        damaged[-1].write_text(json.dumps({k: v for k, v in good.items() if k != key}))
    good["network_data_format"]["inputs"]["beats"].pop("num_channels")
    damaged.append(tmp_path / "without_channels.json")
    damaged[-1].write_text(json.dumps(good))
    found = verdicts(tmp_path, files + damaged)
    assert found == ["accepted"] * len(files) + ["refused"] * len(damaged)


def test_the_shipped_bundles_lie_in_the_layout_of_monai() -> None:
    if not SHIPPED:
        pytest.skip("no bundle is exported yet")
    for metadata in SHIPPED:
        folder = metadata.parents[1]
        assert {p.name for p in folder.iterdir()} == {"configs", "models", "docs", "LICENSE"}
        assert (folder / "docs/README.md").stat().st_size > 500
        assert json.loads(metadata.read_text())["schema"].startswith("https://")
