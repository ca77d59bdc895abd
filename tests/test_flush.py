"""What is to be on disk is flushed, whatever the number of its files."""

import os
from pathlib import Path

import pytest

from pipeline.flush import AT_ONCE, flush_tree


@pytest.mark.parametrize("n_files", [1, 4 * AT_ONCE])
def test_every_file_and_folder_is_flushed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_files: int
) -> None:
    (tmp_path / "inner").mkdir()
    for number in range(n_files):
        (tmp_path / "inner" / f"{number}.bin").write_bytes(b"x")
    flushed: list[Path] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        real(descriptor)
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", watched)
    flush_tree(tmp_path)
    assert sorted(flushed) == sorted([*tmp_path.rglob("*"), tmp_path])


@pytest.mark.parametrize("n_files", [1, 4 * AT_ONCE])
def test_a_file_that_cannot_be_flushed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_files: int
) -> None:
    for number in range(n_files):
        (tmp_path / f"{number}.bin").write_bytes(b"x")
    real = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "0.bin":
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        flush_tree(tmp_path)
