"""Perform the steps of the worklists that a site names, round after round."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

from pipeline.analysis import Analysis
from pipeline.config import Configuration
from pipeline.errors import (
    BundleRejected,
    LedgerUnavailable,
    PeerRefused,
    PeerUnavailable,
    UnusableCall,
)
from pipeline.fetch import Keeper, Source, fetch_study
from pipeline.fetchinbox import InboxKeeper
from pipeline.gateways.ups import DimseWorklist
from pipeline.gateways.upsrs import WebWorklist
from pipeline.gateways.worklist import InputReference, Worklist
from pipeline.inservice import InService
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.workitems import Workitems
from pipeline.receive.inbox import Inbox, NoSpace
from pipeline.steps import WorklistSettings
from pipeline.worklist.inputs import Fetch, InboxInputs
from pipeline.worklist.perform import Performer, Site
from pipeline.worklist.performed import RetrievePlace
from workers.ending import told_to_end

LOG = logging.getLogger(__name__)

LOOK_S = 0.25
"""Shortest time between two looks at what is due [s]."""

AWAY_S = 5.0
"""Time before a worklist or a ledger that is away is tried again, if no round is due sooner [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Where files are."""

    inbox: Path
    """What is received."""

    output: Path
    """Results."""


class Rounds:
    """The rounds of several performers, each when it is due; one that is away is waited for."""

    def __init__(self, performers: Sequence[tuple[str, Performer, float]]) -> None:
        self._performers = tuple(performers)
        self._due = dict.fromkeys((name for name, _, _ in self._performers), 0.0)

    def once(self) -> int:
        """Do the rounds that are due, and return how many were done.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """
        done = 0
        for name, performer, poll_s in self._performers:
            if monotonic() < self._due[name]:
                continue
            wait_s = poll_s
            try:
                performer.round()
                done += 1
            except PeerUnavailable as problem:
                _away(name, str(problem))
                wait_s = max(poll_s, AWAY_S)
            except (BundleRejected, PeerRefused) as problem:
                _away(name, str(problem))
            self._due[name] = monotonic() + wait_s
        return done

    def run(self, ending: Event) -> None:
        """Do rounds until told to end."""
        while not ending.is_set():
            try:
                self.once()
                ending.wait(LOOK_S)
            except LedgerUnavailable:
                LOG.warning("the ledger is away", extra={"action": "performer_waits"})
                ending.wait(AWAY_S)


def run_performer(configuration: Configuration, place: str, folders: Folders) -> None:
    """Perform steps until told to end by SIGTERM or SIGINT.

    Parameters
    ----------
    configuration
        The site's settings.
    place
        Where the ledger is.
    folders
        Where files are.

    Raises
    ------
    UnusableCall
        If no worklist is named, or one asks for what is not possible.
    BundleRejected
        If a model bundle is missing or altered.
    """
    if not configuration.worklists:
        raise UnusableCall("no worklist is named: write [worklists.NAME]")
    ending = told_to_end()
    with Ledger.open(place) as ledger:
        performers = [
            (name, make_performer(name, configuration, ledger, folders), settings.poll_s)
            for name, settings in configuration.worklists.items()
        ]
        Rounds(performers).run(ending)


def make_performer(
    name: str, configuration: Configuration, ledger: Ledger, folders: Folders
) -> Performer:
    """Return the performer of one worklist of the settings.

    Raises
    ------
    UnusableCall
        If a file of the settings cannot be read, or the inbox cannot be written.
    BundleRejected
        If a model bundle is missing or altered.
    """
    settings = configuration.worklists[name]
    service = InService(ledger, configuration)
    performed = sorted({analysis for _, analysis in settings.performs})
    opened = {analysis.name: analysis for analysis in service.analyses(performed)}

    def analyses(names: Sequence[str]) -> Sequence[Analysis]:
        return [opened[each] for each in names]

    site = Site(
        ledger=ledger,
        analyses=analyses,
        inputs=InboxInputs(
            Workitems(ledger),
            folders.inbox,
            _fetch(settings.fetch, configuration, ledger, folders.inbox),
        ),
        output=folders.output.absolute(),
        places=retrieve_places(settings, configuration),
        ae_title=configuration.receive.ae_title,
        attempts=configuration.service.attempts,
        service=service,
    )
    return Performer(name, settings, _worklist(settings, configuration), site)


def retrieve_places(
    settings: WorklistSettings, configuration: Configuration
) -> tuple[RetrievePlace, ...]:
    """Return where the results of a worklist's steps can be retrieved from."""
    if settings.retrieve is not None:
        names = [settings.retrieve]
    else:
        destinations = [configuration.destinations[name] for name in settings.delivered]
        names = [each.node for each in destinations if each.node is not None]
    nodes = [configuration.nodes[name] for name in dict.fromkeys(names)]
    return tuple(RetrievePlace(ae_title=node.ae_title, url=node.url) for node in nodes)


def _worklist(settings: WorklistSettings, configuration: Configuration) -> Worklist:
    """Return the worklist that settings name."""
    node = configuration.nodes[settings.node]
    if settings.by == "dimse":
        return DimseWorklist(node, configuration)
    return WebWorklist(node, configuration)


class ArchiveFetch:
    """Brings the studies of inputs from an archive into the inbox, whole: see ``Fetch``."""

    def __init__(self, source: Source, keeper: Keeper) -> None:
        self._source, self._keeper = source, keeper

    def __call__(self, inputs: Sequence[InputReference]) -> None:
        """Bring the instances of some references."""
        for study in dict.fromkeys(each.study_instance_uid for each in inputs):
            try:
                fetched = fetch_study(self._source, study, self._keeper)
            except NoSpace as problem:
                # The archive keeps them until there is.
                raise PeerUnavailable(str(problem)) from problem
            if fetched.failure is not None:
                raise PeerUnavailable(f"node {self._source.name}: {fetched.failure}")


def _fetch(
    node: str | None, configuration: Configuration, ledger: Ledger, inbox: Path
) -> Fetch | None:
    """Return what brings inputs from a node into the inbox; None waits until they are sent."""
    if node is None:
        return None
    source = Source(name=node, node=configuration.nodes[node], settings=configuration)
    opened = Inbox.open(inbox, ledger, configuration.receive)
    return ArchiveFetch(source, InboxKeeper(opened, ledger))


def _away(name: str, why: str) -> None:
    """Log that a worklist is away."""
    LOG.warning("worklist %s: %s", name, why, extra={"action": "performer_waits", "worklist": name})
