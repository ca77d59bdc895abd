"""Secrets, which settings name by their files."""

from pathlib import Path

from pipeline.errors import UnusableCall


def read_secret(path: Path) -> str:
    """Return what a file holds that keeps a secret, without the space around it.

    Raises
    ------
    UnusableCall
        If it cannot be read, or is no text; what it holds is not told.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from None
    except ValueError:
        raise UnusableCall(f"{path}: cannot be read (no text)") from None
