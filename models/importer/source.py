"""A folder in the Model Zoo's layout, looked at before anything of it is loaded.

::

    configs/metadata.json           what the model is
    configs/inference.json          or .yaml: how its input is prepared, how it runs, what comes out
    models/model.pt, .ts or .onnx   weights, TorchScript or a graph

Custom Python is refused unless the caller names the digest of the whole folder.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.errors import BundleRejected
from pipeline.identity import digest_file, digest_set
from pipeline.infer.filelist import read_json

CODE = frozenset({".py", ".pyc", ".pyd", ".pyx", ".so", ".dll", ".dylib", ".sh", ".whl"})
"""Kinds of files that hold code."""

CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
"""Names of the file that says how a model runs, the preferred first."""

NETWORKS = {"state dict": "model.pt", "TorchScript": "model.ts", "ONNX": "model.onnx"}
"""Forms of a network and the names of their files, the preferred first."""

LIBRARIES = ("monai", "torch", "numpy", "ignite")
"""What a component may come from."""

IMPORTED = frozenset(
    {*LIBRARIES, "np", "glob", "os", "sys", "json", "math", "pathlib", "logging", "itertools"}
)
"""Modules whose import in a configuration is passed over: it is not executed."""

LARGEST_CONFIG = 4 * 1024**2
"""Largest configuration that is read [byte]."""

SUSPICIOUS = frozenset(
    {"eval", "exec", "compile", "subprocess", "system", "popen"}
    | {"globals", "locals", "vars", "open", "importlib", "ctypes", "pickle", "input"}
)
"""Names that no expression of a configuration has a use for."""

_REFERENCE = re.compile(r"[@%][\w:#]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A folder in the Model Zoo's layout."""

    folder: Path
    """Where it lies."""

    digest: str
    """SHA-256 over the paths and digests of its files, hexadecimal."""

    metadata: Mapping[str, object]
    """``configs/metadata.json``."""

    config: Mapping[str, object]
    """How the model runs, as it stands in the file."""

    forms: Mapping[str, Path]
    """The forms that the network is there in: some of ``NETWORKS``."""

    is_trusted: bool
    """Whether the caller named its digest: then a network of its own Python is built."""


def read_source(folder: Path, allowed: Collection[str] = ()) -> Source:
    """Look at a folder; nothing of it is executed.

    Parameters
    ----------
    folder
        The folder.
    allowed
        Digests of folders whose custom Python is trusted.

    Raises
    ------
    BundleRejected
        If a file is missing, or it brings custom Python that is not allowed: the message tells the
        digest that would allow it.
    """
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    digest = digest_set(f"{name} {digest_file(path)}" for name, path in files.items())
    config = _config(folder)
    trusted = digest in allowed
    if not trusted:
        code = [name for name, path in files.items() if path.suffix.lower() in CODE]
        code += [f"{at}: {what}" for at, what in custom_code(config)]
        if code:
            raise BundleRejected(
                f"{folder}: custom Python ({'; '.join(code[:4])}): a site that has read and trusts "
                f"it allows the digest {digest}"
            )
    forms = {
        form: files[f"models/{name}"]
        for form, name in NETWORKS.items()
        if f"models/{name}" in files
    }
    if not forms:
        raise BundleRejected(f"{folder}: none of models/{', models/'.join(NETWORKS.values())}")
    return Source(
        folder=folder,
        digest=digest,
        metadata=read_json(folder / "configs" / "metadata.json"),
        config=config,
        forms=forms,
        is_trusted=trusted,
    )


def custom_code(value: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield where a configuration names code that is not MONAI's, torch's, numpy's or ignite's.

    Yields
    ------
        The place in the configuration, and what stands there.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from custom_code(inner, f"{at}::{key}" if at else str(key))
        target = value.get("_target_")
        if target is not None and not _is_of_a_library(target):
            yield at, f"_target_ {target!r}"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from custom_code(inner, f"{at}::{number}")
    elif isinstance(value, str) and value.lstrip().startswith("$") and _is_code(value):
        yield at, f"the expression {value!r}"


def _is_code(expression: str) -> bool:
    """Tell whether an expression imports what is no library's, or reaches for the interpreter.

    This is not what keeps it from being executed: nothing of a configuration is. It tells a bundle
    that means harm, or that needs code of its own, as early as can be.
    """
    try:
        tree = ast.parse(_REFERENCE.sub("reference", expression.strip()[1:].strip()))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if any(name.split(".")[0] not in IMPORTED for name in names):
            return True
        name = getattr(node, "id", getattr(node, "attr", ""))
        if name in SUSPICIOUS or str(name).startswith("__"):
            return True
    return False


def _is_of_a_library(target: object) -> bool:
    """Tell whether a component is one of MONAI's, or of a library that it uses."""
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_][\w.]*", target):
        return False
    return "." not in target or target.split(".")[0] in LIBRARIES


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, in the order of their names."""
    if not folder.is_dir():
        raise BundleRejected(f"{folder}: no such folder")
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BundleRejected(f"{path}: a link; a bundle holds its own files")
        if path.is_file():
            yield path


def _config(folder: Path) -> Mapping[str, object]:
    """Return how the model runs, as it stands in the file."""
    for name in CONFIGS:
        path = folder / "configs" / name
        if not path.is_file():
            continue
        if path.stat().st_size > LARGEST_CONFIG:
            raise BundleRejected(f"{path}: larger than {LARGEST_CONFIG} bytes")
        if path.suffix == ".json":
            return read_json(path)
        try:
            document = yaml.safe_load(path.read_bytes())
        except (yaml.YAMLError, RecursionError, ValueError) as problem:
            raise BundleRejected(f"{path}: not YAML that holds data alone") from problem
        if not isinstance(document, dict):
            raise BundleRejected(f"{path}: no YAML object")
        return document
    raise BundleRejected(f"{folder}: none of configs/{', configs/'.join(CONFIGS)}")
