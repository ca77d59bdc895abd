"""Versions by the names that a person gives them.

``perfusion@1.2.0``, the first digits of a digest, ``perfusion@live`` for what does the studies now,
``perfusion@installed`` for what does them where no version is live, or the folder of a bundle.
"""

from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.inservice import open_version
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.roles import Role
from pipeline.ledger.versions import INSTALLED, Version, Versions
from pipeline.perform import DEFAULT_COMPUTE, kind_of, open_analyses
from pipeline.trust import load_trusted

LIVE = "live"
"""Name of the version of an analysis that does the studies."""


def analysis_named(name: str, configuration: Configuration, ledger: Ledger) -> Analysis:
    """Return an analysis with the bundle of a version, under the site's settings.

    Raises
    ------
    UnusableCall
        If there is no such version.
    BundleRejected
        If its bundle is not there, or is altered.
    """
    folder = Path(name)
    if folder.is_dir():
        bundle = load_trusted(folder, configuration.models)
        return kind_of(bundle)(bundle, configuration, DEFAULT_COMPUTE)
    analysis, _, version = name.partition("@")
    if version in (LIVE, INSTALLED):
        live = live_version(analysis, ledger) if version == LIVE else None
        if live is None:
            return installed(analysis, configuration)
        return open_version(analysis, live.digest, configuration)
    found = Versions(ledger).named(name)
    return open_version(found.analysis, found.digest, configuration)


def two_named(
    names: tuple[str, str], configuration: Configuration, ledger: Ledger
) -> tuple[Analysis, Analysis]:
    """Return two versions of one analysis.

    Raises
    ------
    UnusableCall
        If one does not exist, they are of different analyses, or are the same.
    """
    first, second = (analysis_named(name, configuration, ledger) for name in names)
    if first.name != second.name:
        raise UnusableCall(f"{names[0]} is of {first.name}, {names[1]} of {second.name}")
    if first.bundle.digest == second.bundle.digest:
        raise UnusableCall(f"{names[0]} and {names[1]} are the same bundle")
    return first, second


def live_version(analysis: str, ledger: Ledger) -> Version | None:
    """Return the version that is live; None where the installed bundle is."""
    live = (v for v in Versions(ledger).listed(analysis) if v.role is Role.LIVE)
    return next(live, None)


def installed(analysis: str, configuration: Configuration) -> Analysis:
    """Return an analysis with the bundle that serves where no version is live."""
    (found,) = open_analyses([analysis], configuration)
    return found
