"""What a TorchScript file may contain, looked at before torch loads it.

TorchScript is a program, which torch's own interpreter runs: it can compute, and knows a few
operators that write files or call other machines. Loading runs methods that restore a state. A file
with any of these names in its code is refused, whatever they stand for there.
"""

import re
import zipfile
from pathlib import Path

from pipeline.errors import BundleRejected

REFUSED = re.compile(
    r"\b(?:save|from_file|rpc_\w+|__setstate__|__getstate__|_print|fork|awaitable\w*)\b"
)
"""Names that no network needs."""

OPERATORS = frozenset({"aten", "prim"})
"""Namespaces of operators that compute."""

LARGEST_CODE = 16 * 1024**2
"""Most code that is looked at [byte]."""

_NAMESPACE = re.compile(r"\bops\b[\s\\]*\.[\s\\]*(\w+)")


def check_script(path: Path) -> None:
    """Check the code of a TorchScript file.

    Raises
    ------
    BundleRejected
        If it is no TorchScript, holds more code than is looked at, or names what no network needs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [i for i in archive.infolist() if i.filename.endswith(".py")]
            if not parts or sum(part.file_size for part in parts) > LARGEST_CODE:
                raise BundleRejected(f"{path}: no code, or more than {LARGEST_CODE} bytes of it")
            code = "\n".join(archive.read(part).decode("utf-8", "replace") for part in parts)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as problem:
        raise BundleRejected(f"{path}: no TorchScript") from problem
    named = REFUSED.search(code)
    if named:
        raise BundleRejected(f"{path}: its code names {named[0]}, which no network needs")
    for found in _NAMESPACE.finditer(code):
        if found[1] not in OPERATORS:
            raise BundleRejected(f"{path}: operators of the namespace {found[1]}")
