"""What a site sets: one TOML file, parsed once into frozen records.

A key that is not known is an error, as is a value of another type: a misspelt setting that falls
back to its default would go unnoticed. The environment is not read here; the command line does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_type_hints

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.reconstruction.settings import ReconstructionSettings
from pipeline.batchsettings import BatchSettings
from pipeline.comparesettings import CompareSettings
from pipeline.connections import (
    Destination,
    Node,
    ReceiveSettings,
    TlsSettings,
    check_delivered,
)
from pipeline.driftsettings import DriftSettings
from pipeline.encryption import Address, check_encrypted, switched_on
from pipeline.errors import SignatureUnusable, UnusableCall
from pipeline.ingest.limits import Limits
from pipeline.recordsettings import AuditSettings, RetentionSettings
from pipeline.reviewsettings import ReviewSettings
from pipeline.servicesettings import MonitoringSettings, ServiceSettings, WorkerSettings
from pipeline.signing.minisign import parse_key_id, parse_public_key
from pipeline.steps import WorklistSettings
from pipeline.tomlrecords import read_toml, refuse_unknown, section_of

SEGMENTATION_TYPES = ("BINARY", "LABELMAP")
"""Values of Segmentation Type (0062,0001) that can be written."""

MR_IMAGE_TYPES = ("CLASSIC", "ENHANCED")
"""Forms of reconstructed MR images: an instance a frame, or one instance of all frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings:
    """What is written."""

    segmentation_types: tuple[str, ...] = ("BINARY",)
    """Segmentation Types (0062,0001): one DICOM object for each."""

    mr_image_types: tuple[str, ...] = ("CLASSIC",)
    """Forms of reconstructed MR images: ``CLASSIC``, ``ENHANCED`` or both."""

    complex_nifti: bool = False
    """Whether reconstructed images are also written with their phase, as complex NIfTI."""

    evidence: bool = True
    """Whether files are written that a reviewer judges a result by. They change nothing in it, and
    so are no part of the job's id."""

    classical: bool = True
    """Whether a classical reconstruction is among them, the only one that takes time: thirty steps
    of two Fourier transforms of all coils for an image."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a type is unknown or named twice.
        """
        named = (
            ("segmentation_types", self.segmentation_types, SEGMENTATION_TYPES),
            ("mr_image_types", self.mr_image_types, MR_IMAGE_TYPES),
        )
        for name, types, possible in named:
            if not types or len(set(types)) < len(types) or not set(types) <= set(possible):
                raise UnusableCall(
                    f"{name} is {list(types)}, possible is one or more of {', '.join(possible)}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """Where the model bundles are."""

    path: Path | None = None
    """A bundle, or a folder that holds ``<analysis>/bundle``; None takes the installed models."""

    registry: Path | None = None
    """Folder of the versions that were imported; None takes ``registry`` beside a ledger that is a
    file, or the one in the user's state folder."""

    trusted_keys: tuple[str, ...] = ()
    """Public keys of minisign whose signature of a bundle counts, as ``RW...``."""

    revoked_keys: tuple[str, ...] = ()
    """Keys whose signatures are refused, also where none is needed: ids or public keys."""

    require_signature: bool = False
    """Whether a bundle without the signature of a trusted key is refused, also an installed one.
    False, since those that ship are not signed: only a site can say whose word it takes."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a key is none, or a signature is needed and no key is trusted.
        """
        for name, keys, parse in (
            ("trusted_keys", self.trusted_keys, parse_public_key),
            ("revoked_keys", self.revoked_keys, parse_key_id),
        ):
            for key in keys:
                try:
                    parse(key)
                except SignatureUnusable:
                    raise UnusableCall(f"{name} holds {key!r}, no key of minisign") from None
        if self.require_signature and not self.trusted_keys:
            raise UnusableCall("require_signature needs trusted_keys")


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSettings:
    """Where the ledger is."""

    url: str | None = None
    """URL, or path of a SQLite file; None takes the user's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingSettings:
    """Which series get which analyses."""

    rules: Path | None = None
    """File of rules; None has every analysis done that fits."""


DCIODVFY = ("if installed", "required", "never")
"""When the gate runs dciodvfy of dicom3tools."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateSettings:
    """How objects are checked before they leave."""

    dciodvfy: str = "if installed"
    """When dciodvfy is run, too: one of ``DCIODVFY``."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if self.dciodvfy not in DCIODVFY:
            raise UnusableCall(f"dciodvfy is {self.dciodvfy!r}, possible is {', '.join(DCIODVFY)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """All that a site sets."""

    perfusion: PerfusionSettings = field(default_factory=PerfusionSettings)
    """The perfusion analysis."""

    reconstruction: ReconstructionSettings = field(default_factory=ReconstructionSettings)
    """The reconstruction analysis."""

    phases: PhasesSettings = field(default_factory=PhasesSettings)
    """The analysis of surgical phases."""

    output: OutputSettings = field(default_factory=OutputSettings)
    """What is written."""

    models: ModelSettings = field(default_factory=ModelSettings)
    """Where the model bundles are."""

    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    """Where the ledger is."""

    service: ServiceSettings = field(default_factory=ServiceSettings)
    """What the processes of a service share."""

    worker: WorkerSettings = field(default_factory=WorkerSettings)
    """What a worker uses of its machine."""

    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
    """What whoever watches the service is told, and where."""

    routing: RoutingSettings = field(default_factory=RoutingSettings)
    """Which series get which analyses."""

    limits: Limits = field(default_factory=Limits)
    """What a file from outside may ask for."""

    receive: ReceiveSettings = field(default_factory=ReceiveSettings)
    """What is received, and from whom."""

    tls: TlsSettings = field(default_factory=TlsSettings)
    """How this installation shows who it is."""

    gate: GateSettings = field(default_factory=GateSettings)
    """How objects are checked before they leave."""

    drift: DriftSettings = field(default_factory=DriftSettings)
    """Statistics of studies, and when a change of theirs is told."""

    compare: CompareSettings = field(default_factory=CompareSettings)
    """What a new version of a model must keep beside the one that is live."""

    batch: BatchSettings = field(default_factory=BatchSettings)
    """Batch runs."""

    review: ReviewSettings = field(default_factory=ReviewSettings)
    """The review page."""

    audit: AuditSettings = field(default_factory=AuditSettings)
    """Where the audit log goes."""

    retention: RetentionSettings = field(default_factory=RetentionSettings)
    """How long what is received and made is kept."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    """The systems that it is connected to, by name."""

    destinations: Mapping[str, Destination] = field(default_factory=dict)
    """Where results go, by name."""

    worklists: Mapping[str, WorklistSettings] = field(default_factory=dict)
    """Worklists whose steps are performed here, by name."""

    def __post_init__(self) -> None:
        """Check that what is named exists.

        Raises
        ------
        UnusableCall
            If one does not, or is in the clear where everything is to be encrypted.
        """
        check_encrypted(self.tls, self._addresses())
        named = [("receive.ask", self.receive.ask)]
        named += [(f"destinations.{name}.node", d.node) for name, d in self.destinations.items()]
        for name, worklist in self.worklists.items():
            for key in ("node", "fetch", "retrieve"):
                named.append((f"worklists.{name}.{key}", getattr(worklist, key)))
        for key, node in named:
            if node is not None and node not in self.nodes:
                known = ", ".join(self.nodes) or "none"
                raise UnusableCall(f"{key} is {node!r}; the nodes are {known}")
        for name, worklist in self.worklists.items():
            self._check_worklist(f"worklists.{name}", worklist)

    def _addresses(self) -> Iterator[Address]:
        """Yield what this installation speaks to and serves."""
        for setting, url in (
            ("service.broker", self.service.broker),
            ("ledger.url", self.ledger.url),
            ("monitoring.traces", self.monitoring.traces),
            ("monitoring.page_url", self.monitoring.page_url),
            ("monitoring.host", f"http://{self.monitoring.host}"),
            ("review.url", self.review.url),
            *((f"nodes.{name}.url", node.url) for name, node in self.nodes.items()),
            *(
                (f"destinations.{name}.endpoint", d.endpoint)
                for name, d in self.destinations.items()
            ),
        ):
            if url is not None:
                yield setting, url

    def _check_worklist(self, at: str, worklist: WorklistSettings) -> None:
        """Check that a worklist can be reached, and that its results have a place."""
        node = self.nodes[worklist.node]
        if worklist.by == "dimse" and node.ae_title is None:
            raise UnusableCall(f"{at}: by dimse needs a node with an ae_title")
        if worklist.by == "ups-rs" and node.url is None:
            raise UnusableCall(f"{at}: by ups-rs needs a node with a url")
        check_delivered(f"{at}.delivered", worklist.delivered, self.destinations)
        if worklist.retrieve is None and not any(
            self.destinations[name].node for name in worklist.delivered
        ):
            raise UnusableCall(f"{at} needs retrieve: no destination of delivered has a node")


def read_configuration(path: Path | None) -> Configuration:
    """Return the configuration of a file; the defaults without one.

    Parameters
    ----------
    path
        A TOML file. Paths in it start from its folder.

    Raises
    ------
    UnusableCall
        If the file cannot be read, or holds a key or a value that is not possible.
    """
    if path is None:
        return Configuration()
    document = read_toml(path)
    try:
        return parse_configuration(document, path.parent)
    except UnusableCall as problem:
        raise UnusableCall(f"{path}: {problem}") from problem


def parse_configuration(document: Mapping[str, object], folder: Path) -> Configuration:
    """Return the configuration that a TOML document holds.

    Parameters
    ----------
    document
        The document; the settings of a job in the ledger are one, too.
    folder
        Folder that relative paths start from.

    Raises
    ------
    UnusableCall
        If it holds a key or a value that is not possible.
    """
    sections = get_type_hints(Configuration)
    refuse_unknown(document, sections, "")
    for name, table in document.items():
        if not isinstance(table, dict):
            raise UnusableCall(f"{name} is no table: write [{name}]")
    return Configuration(
        **{
            name: section_of(sections[name], name, table, folder)
            for name, table in switched_on(document).items()
            if isinstance(table, dict)
        }
    )
