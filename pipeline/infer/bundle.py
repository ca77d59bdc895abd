"""Model bundles: a folder in MONAI's bundle layout, loaded only if every byte is as listed.

::

    configs/metadata.json   MONAI's metadata; under ``vesalius`` the analysis' own settings
    configs/files.json      SHA-256 of every other file
    configs/files.json.minisig    signature of that list, if there is one (pipeline/trust.py)
    models/*.onnx           the networks; those of a pool are named ``member_1``, ``member_2``, ...
    docs/README.md          the model card
    LICENSE

A bundle is read, never executed: weights are ONNX, and files that could hold a pickle are refused.
The digests tell an altered bundle from the one that was released; who released it, only the
signature tells.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from pipeline.errors import BundleRejected
from pipeline.identity import digest_bytes
from pipeline.infer.filelist import checked_files, digest_files, read_json, write_file_list
from pipeline.infer.onnxfile import LARGEST_BYTES, check_onnx

__all__ = [
    "Bundle",
    "BundleMetadata",
    "Member",
    "find_bundle",
    "load_bundle",
    "write_file_list",
]

METADATA = "configs/metadata.json"
"""Path of the metadata in a bundle."""

MEMBER_NAME = re.compile(r"member_(\d+)")
"""Name of a network that belongs to the pool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A network of a bundle."""

    name: str
    """Its file's name without the suffix: ``member_1``, ``locator``."""

    path: Path
    """The ONNX file."""

    sha256: str
    """SHA-256 of the file, hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleMetadata:
    """What ``configs/metadata.json`` says of the model as a whole."""

    name: str
    """Name of the model."""

    version: str
    """Version of the model."""

    task: str
    """What it is for, in a few words."""

    description: str
    """What it is, in a sentence or two."""

    authors: str
    """Who made it."""

    copyright: str
    """Who holds the rights in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A bundle whose files are complete and unaltered."""

    folder: Path
    """Where it lies."""

    digest: str
    """SHA-256 over the paths and digests of its files, hexadecimal."""

    metadata: BundleMetadata
    """What it is."""

    networks: tuple[Member, ...]
    """All its networks: the pool's first, in the order of their numbers, then others by name."""

    settings: Mapping[str, object]
    """The analysis' own settings: ``vesalius`` in the metadata."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.metadata.name

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.metadata.version

    @property
    def members(self) -> tuple[Member, ...]:
        """The networks of the pool, in the order of their numbers."""
        return tuple(m for m in self.networks if MEMBER_NAME.fullmatch(m.name))

    def network(self, name: str) -> Member:
        """Return the network of a name.

        Raises
        ------
        BundleRejected
            If the bundle has none of it.
        """
        for member in self.networks:
            if member.name == name:
                return member
        raise BundleRejected(f"{self.folder}: no models/{name}.onnx")


def find_bundle(analysis: str, search: Sequence[Path] = ()) -> Path:
    """Return the folder of an analysis' bundle.

    A folder to search is a bundle itself, or holds one as ``<analysis>/bundle``. Without any, the
    installed ``models`` package is searched; it is located and not imported. Folders that were
    given and hold no bundle are an error: another model than the one asked for is never taken.

    Parameters
    ----------
    analysis
        Name of the analysis, such as ``perfusion``.
    search
        Folders to search, first match first.

    Raises
    ------
    BundleRejected
        If there is none.
    """
    folders = list(search) or _installed_models()
    for folder in folders:
        for candidate in (folder, folder / analysis / "bundle"):
            if (candidate / METADATA).is_file():
                return candidate
    searched = ", ".join(str(folder) for folder in folders) or "no installed models package"
    raise BundleRejected(f"no bundle for {analysis}; searched: {searched}")


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every file of it.

    Raises
    ------
    BundleRejected
        If a file is missing, extra, altered, a link, outside the folder, or of a kind that a bundle
        does not hold; if the layout's version is unknown; if metadata or a network cannot be used.
    """
    if not folder.is_dir():
        raise BundleRejected(f"{folder}: no such folder")
    listed = checked_files(folder)
    document = read_json(folder / METADATA)
    settings = document.get("vesalius", {})
    if not isinstance(settings, dict):
        raise BundleRejected(f"{folder / METADATA}: vesalius is no object")
    return Bundle(
        folder=folder,
        digest=digest_files(listed),
        metadata=_metadata(folder, document),
        networks=_networks(folder, listed),
        settings=MappingProxyType(settings),
    )


def _installed_models() -> list[Path]:
    """Return the folders of the ``models`` package."""
    spec = find_spec("models")
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]


def _metadata(folder: Path, document: Mapping[str, object]) -> BundleMetadata:
    """Return the metadata that is used."""
    values: dict[str, str] = {}
    for key in ("name", "version", "task", "description", "authors", "copyright"):
        value = document.get(key)
        if not isinstance(value, str) or not value:
            raise BundleRejected(f"{folder / METADATA}: {key} is missing")
        values[key] = value
    return BundleMetadata(**values)


def _networks(folder: Path, listed: Mapping[str, str]) -> tuple[Member, ...]:
    """Return the bundle's networks, each checked."""
    networks = []
    for path, sha256 in listed.items():
        pure = PurePosixPath(path)
        if pure.suffix != ".onnx":
            continue
        if pure.parent != PurePosixPath("models"):
            raise BundleRejected(f"{folder / path}: networks lie in models")
        if (folder / path).stat().st_size > LARGEST_BYTES:
            raise BundleRejected(f"{folder / path}: more than {LARGEST_BYTES} bytes")
        content = (folder / path).read_bytes()
        if digest_bytes(content) != sha256:
            raise BundleRejected(f"{folder / path}: altered while it was read")
        check_onnx(folder / path, content)
        networks.append(Member(name=pure.stem, path=folder / path, sha256=sha256))
    if not networks:
        raise BundleRejected(f"{folder}: no network in models")
    return tuple(sorted(networks, key=_by_number))


def _by_number(network: Member) -> tuple[int, int, str]:
    """Return what networks are sorted by."""
    found = MEMBER_NAME.fullmatch(network.name)
    return (0, int(found[1]), network.name) if found else (1, 0, network.name)
