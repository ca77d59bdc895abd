"""Bundled analyses: found in the folder of models, each made of what its bundle declares."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.bundled.key import BUNDLE_KEY
from pipeline.config import Configuration
from pipeline.errors import BundleRejected
from pipeline.infer.bundle import METADATA, Bundle
from pipeline.infer.filelist import read_json
from pipeline.infer.terms import Compute

if TYPE_CHECKING:
    from pipeline.bundled.analysis import BundledAnalysis


class BundledKind:
    """The kind of analysis that a bundle in the folder of models makes."""

    bundle_key = BUNDLE_KEY
    """Setting that tells its bundles from others."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self, bundle: Bundle, configuration: Configuration, compute: Compute, /
    ) -> "BundledAnalysis":
        """Return the analysis with a bundle, under a configuration.

        Raises
        ------
        BundleRejected
            If the bundle is that of another analysis, or declares what is not supported.
        """
        from pipeline.bundled.analysis import BundledAnalysis

        return BundledAnalysis(self.name, bundle, configuration, compute)


def bundled_kinds(folder: Path | None) -> tuple[BundledKind, ...]:
    """Return the kinds that a folder of models holds as ``<name>/bundle``, or is itself.

    Parameters
    ----------
    folder
        The folder; None has none.

    Raises
    ------
    BundleRejected
        If a bundle's metadata cannot be read, or name another analysis than its folder.
    """
    if folder is None:
        return ()
    if (folder / METADATA).is_file():
        name = _analysis_of(folder)
        return () if name is None else (BundledKind(name),)
    found = []
    for place in sorted(folder.glob("*/bundle")):
        name = _analysis_of(place) if (place / METADATA).is_file() else None
        if name is None:
            continue
        if name != place.parent.name:
            raise BundleRejected(f"{place}: the bundle of {name}, which belongs in {name}/bundle")
        found.append(BundledKind(name))
    return tuple(found)


def registered_kinds(registry: Path | None) -> tuple[BundledKind, ...]:
    """Return the kinds that the versions in a registry make, each once.

    Raises
    ------
    BundleRejected
        If a bundle's metadata cannot be read.
    """
    if registry is None or not registry.is_dir():
        return ()
    places = (place for place in sorted(registry.iterdir()) if (place / METADATA).is_file())
    names = {_analysis_of(place) for place in places} - {None}
    return tuple(BundledKind(str(name)) for name in sorted(names, key=str))


def _analysis_of(place: Path) -> str | None:
    """Return the analysis of a bundle that a manifest made; None for another bundle."""
    settings = read_json(place / METADATA).get("vesalius")
    if not isinstance(settings, dict) or BUNDLE_KEY not in settings:
        return None
    # Only now: most sites have no such bundle.
    from pipeline.bundled.analysis import manifest_of

    return manifest_of(settings, place).analysis
