"""What the product is measured against, each in an environment of its own.

A peer that is a Python package gets a virtual environment under ``.venv-peers`` with the versions
that are pinned here; one of Debian's is installed where this process may. Its script lies in
``benchmarks/peerscripts`` and prints one JSON document; nothing of it is imported by ours.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

ENVIRONMENTS = HERE.parent / ".venv-peers"
"""Where they are installed; git ignores it."""

SCRIPTS = HERE / "peerscripts"
"""What runs in them."""

PINNED = {
    "dicom2nifti": ("dicom2nifti==2.6.2",),
    "monaideploy": (
        "monai-deploy-app-sdk==4.0.0",
        "holoscan-cu13==4.6.0",
        "nibabel==5.4.2",
        "onnxruntime==1.32.0",
    ),
    "openvino": ("onnxruntime-openvino==1.24.1", "numpy==2.4.6"),
    "sigpy": ("sigpy==0.1.27", "numpy==1.26.4"),
}
"""Packages of each environment."""


class NotInstalled(Exception):
    """A peer cannot be installed on this machine; says why."""


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, which is made if it is not there.

    Raises
    ------
    NotInstalled
        If a package cannot be installed.
    """
    place = ENVIRONMENTS / name
    python, done = place / "bin" / "python", place / ".installed"
    wanted = "\n".join(PINNED[name])
    if done.is_file() and done.read_text() == wanted:
        return python
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ended = subprocess.run([*install, *PINNED[name]], capture_output=True, text=True, check=False)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["pip says nothing"]
        raise NotInstalled(f"{', '.join(PINNED[name])}: {last[0]}")
    done.write_text(wanted)
    return python


def debian(command: str, package: str) -> str:
    """Return the path of a command of Debian's, which is installed if it is not there.

    Raises
    ------
    NotInstalled
        If it cannot be installed.
    """
    if shutil.which(command) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)  # type: ignore[call-overload]
        subprocess.run(install, check=False, **quiet)  # type: ignore[call-overload]
    found = shutil.which(command)
    if found is None:
        raise NotInstalled(f"{command} (Debian's package {package})")
    return found


def ask(python: Path, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what it prints
    """Run a script in its environment; return the JSON document that it prints last.

    Raises
    ------
    NotInstalled
        If it fails, with the last line of what it said.
    """
    call = [str(python), str(SCRIPTS / script), *(str(argument) for argument in arguments)]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or [f"status {ended.returncode}"]
        raise NotInstalled(f"{script}: {last[0]}")
    return json.loads(ended.stdout.strip().splitlines()[-1])
