"""De-identify an object for a destination: not there yet, so that nothing leaves."""

from pathlib import Path

from pipeline.errors import ObjectBlocked


def deidentified(path: Path, target: Path, key: bytes) -> object:
    """Write an object without what tells whose it is.

    Raises
    ------
    ObjectBlocked
        Always.
    """
    raise ObjectBlocked(f"{path.name} cannot be de-identified for {target.name} ({len(key)} bytes)")
