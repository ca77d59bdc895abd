"""Two builds of a commit, in other folders, with other rights and in another zone, are the same."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheels of two builds."""
    if not (ROOT / "page" / "node_modules" / ".installed").is_file():
        pytest.skip("the page's packages are not installed: make page")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    made = []
    for name, umask, zone in (("one", "022", "UTC"), ("two/deeper", "077", "Asia/Tokyo")):
        folder = tmp_path_factory.mktemp("builds") / name
        folder.mkdir(parents=True)
        output = folder / "dist"
        program = f"umask {umask}; exec {sys.executable} -m release.wheel --output {output}"
        done = subprocess.run(
            ["sh", "-c", program],
            cwd=ROOT,
            env={**os.environ, "TZ": zone, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (wheel,) = output.iterdir()
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() == done.stdout.split()[0]
        made.append(wheel)
    return made[0], made[1]


def test_two_builds_are_the_same_to_the_byte(wheels: tuple[Path, Path]) -> None:
    first, second = wheels
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_the_wheel_holds_the_page_and_the_models_and_nothing_of_the_machine(
    wheels: tuple[Path, Path],
) -> None:
    with ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
        assert names == sorted(names, key=names.index)
        assert "pipeline/review/static/index.html" in names
        assert "models/perfusion/bundle/models/member_1.onnx" in names
        assert not [name for name in names if name.startswith(("tests/", "release/", "page/"))]
        times = {info.date_time for info in wheel.infolist()}
        rights = {info.external_attr >> 16 & 0o777 for info in wheel.infolist()}
        content = b"".join(wheel.read(name) for name in names)
    assert len(times) == 1
    assert rights <= {0o644, 0o755}
    assert str(ROOT).encode() not in content
