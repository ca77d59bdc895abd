"""Real research data, which is never part of the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def real_data(*parts: str) -> Path:
    """Return a path under the real data, or skip the test where this machine does not have it."""
    folder = Path(os.environ.get("VESALIUS_DATA", ROOT / ".." / "shared" / "data"))
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data at {'/'.join(parts)}: set VESALIUS_DATA")
    return path
