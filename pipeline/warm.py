"""Analyses that are open and kept: the least recently used is closed when memory runs short."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.config import Configuration, parse_configuration
from pipeline.errors import BundleRejected
from pipeline.identity import digest_settings
from pipeline.infer.bundle import Bundle
from pipeline.infer.terms import Compute
from pipeline.inservice import models_of
from pipeline.perform import open_analyses

MIB = 2**20


class OpenAnalyses:
    """The analyses that a process keeps open, each with its bundle and under its configuration.

    Parameters
    ----------
    configuration
        Where the bundles are; a job brings its own settings.
    compute
        What the networks run on.
    memory_mib
        Size of the files of all networks that are kept open [MiB]. One bundle is kept whatever its
        size.
    """

    def __init__(self, configuration: Configuration, compute: Compute, memory_mib: int) -> None:
        self._configuration = configuration
        self._compute = compute
        self._memory = memory_mib * MIB
        self._open: OrderedDict[tuple[str, str, str], Analysis] = OrderedDict()

    def find(self, name: str, bundle_digest: str, settings: Mapping[str, object]) -> Analysis:
        """Return an analysis with a bundle under a configuration, opened if it is not.

        The bundle is the registry's of that digest; else the one of this process' own settings.

        Raises
        ------
        BundleRejected
            If the bundle that is here is another one.
        UnusableCall
            If the analysis is unknown here, or its settings are.
        """
        key = (name, bundle_digest, digest_settings(settings))
        analysis = self._open.pop(key, None) or self._opened(name, bundle_digest, settings)
        self._open[key] = analysis
        while len(self._open) > 1 and self._size() > self._memory:
            self._open.popitem(last=False)
        return analysis

    def all(self) -> tuple[Analysis, ...]:
        """Return the analyses of this process' own configuration."""
        return open_analyses([], self._configuration, self._compute)

    def _opened(self, name: str, bundle_digest: str, settings: Mapping[str, object]) -> Analysis:
        """Open an analysis; its networks are opened when they are first run."""
        own = self._configuration
        asked = parse_configuration(settings, Path())
        models = models_of(own.models, bundle_digest)
        configuration = replace(under(own, asked), models=models)
        (analysis,) = open_analyses([name], configuration, self._compute)
        if analysis.bundle.digest != bundle_digest:
            raise BundleRejected(
                f"{analysis.bundle.folder}: the job is for another bundle of {name} (digest "
                f"{bundle_digest[:12]}, here {analysis.bundle.digest[:12]})"
            )
        return analysis

    def _size(self) -> int:
        """Return the size of the files of all networks, each bundle once [bytes]."""
        bundles = {analysis.bundle.digest: analysis.bundle for analysis in self._open.values()}
        return sum(_size_of(bundle) for bundle in bundles.values())


def under(own: Configuration, asked: Configuration) -> Configuration:
    """Return the settings of a job with what they say nothing of: where things are, and evidence.

    Parameters
    ----------
    own
        The configuration of this process.
    asked
        The settings that the job brings.
    """
    output = replace(asked.output, evidence=own.output.evidence, classical=own.output.classical)
    return replace(asked, models=own.models, ledger=own.ledger, output=output)


def _size_of(bundle: Bundle) -> int:
    """Return the size of a bundle's networks [bytes]."""
    return sum(network.path.stat().st_size for network in bundle.networks)
