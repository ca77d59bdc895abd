"""One look at the studies that arrive: which are whole, and what the others wait for."""

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pipeline.analysis import Analysis, priors_of
from pipeline.assemble.judge import Evidence, Judgement, judge
from pipeline.assemble.take import take
from pipeline.config import Configuration
from pipeline.encode.context import SERIES_NUMBERS
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.fetch import Source, fetch_study
from pipeline.fetchinbox import InboxKeeper
from pipeline.gateways.query import Counts, counts
from pipeline.identity import derived_uid
from pipeline.ingest.inventory import Inventory, take_inventory
from pipeline.ledger.arrivals import Arrivals, Arriving
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.lineage import jobs_of
from pipeline.perform import known_kinds
from pipeline.priors import priors
from pipeline.receive.inbox import Inbox
from pipeline.submit import Terms, find

LOG = logging.getLogger(__name__)

RUNNING_PAUSE_S = 2.0
"""Time before a study is looked at again whose earlier state is analysed now [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembler:
    """Looks at the studies that arrive. Several may look at the same ones."""

    configuration: Configuration
    """The site's settings."""

    inbox: Path
    """Folder that the studies are received in."""

    ledger: Ledger
    """Knows what was received."""

    analyses: Sequence[Analysis]
    """The analyses to choose from."""

    terms: Terms
    """How jobs are to be done."""

    def once(self) -> int:
        """Look at the studies whose time has come, and return how many there were.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """
        due = Arrivals(self.ledger).due()
        for study in due:
            self._look(study)
        return len(due)

    def _look(self, study: Arriving) -> None:
        """Look at one study: take it, or say what it waits for."""
        arrivals = Arrivals(self.ledger)
        if study.n_instances == 0:
            pause_s = self.configuration.receive.longest_s
            arrivals.look_again(
                study, pause_s, expected=None, why="announced, and nothing has come"
            )
            return
        found_elsewhere, problem = self._asked(study)
        evidence = Evidence(
            received=arrivals.uids(study.arrival_id), counts=found_elsewhere, problem=problem
        )
        settings, own = self.configuration.receive, self._own_series(study)
        judgement = judge(study, evidence, settings, own)
        if judgement.is_taken:
            inventory = self._inventory(arrivals.files(study.arrival_id))
            judgement = judge(study, replace(evidence, gaps=inventory.gaps), settings, own)
            if judgement.is_taken:
                self._take(study, judgement, inventory)
                return
        arrivals.look_again(
            study, judgement.after_s, expected=judgement.expected, why=judgement.why
        )

    def _inventory(self, files: Sequence[PurePosixPath]) -> Inventory:
        """Return the series of a study.

        Raises
        ------
        OSError
            If a file is not there: the inbox is away, or somebody has removed it.
        """
        try:
            return take_inventory([self.inbox / path for path in files])
        except UnusableCall as problem:
            raise FileNotFoundError(str(problem)) from problem

    def _own_series(self, study: Arriving) -> frozenset[str]:
        """Return the series that results of the study's jobs have, or would have."""
        with self.ledger.reading() as session:
            jobs = jobs_of(session, study.study_instance_uid)
        return frozenset(
            derived_uid(job_id, f"{role}/series") for job_id in jobs for role in SERIES_NUMBERS
        )

    def _asked(self, study: Arriving) -> tuple[Counts | None, str | None]:
        """Return what the node has of a study, or why it could not be asked."""
        name = self.configuration.receive.ask
        if name is None:
            return None, None
        try:
            node = self.configuration.nodes[name]
            return counts(node, study.study_instance_uid, self.configuration), None
        except (PeerUnavailable, PeerRefused) as problem:
            return None, f"{name} does not say ({problem})"

    def _take(self, study: Arriving, judgement: Judgement, inventory: Inventory) -> None:
        """Take a study, and log what became of it."""
        found = find(inventory, self.analyses, self.terms)
        self._fetch_priors(study, {request.identity.analysis for request, _ in found.asked})
        taken = take(study, judgement.why, found, self.ledger)
        told = {"study_instance_uid": study.study_instance_uid}
        if taken.waits_for is not None:
            Arrivals(self.ledger).look_again(
                study,
                RUNNING_PAUSE_S,
                expected=judgement.expected,
                why=f"job {taken.waits_for} of the study as it was before runs",
            )
        elif not taken.is_overtaken:
            LOG.info(
                "study taken: %s; %d jobs",
                judgement.why,
                len(taken.jobs),
                extra={"action": "study_taken", **told},
            )
            for refusal in found.refusals:
                LOG.warning(
                    "refused: %s", refusal.reason, extra={"action": "input_refused", **told}
                )

    def _fetch_priors(self, study: Arriving, analyses: Set[str]) -> None:
        """Fetch the earlier studies that analyses ask for, as far as the node has them."""
        name = self.configuration.receive.ask
        asked = {priors_of(kind) for kind in known_kinds() if kind.name in analyses}
        wanted = [one for one in asked if one is not None]
        if name is None or not wanted:
            return
        source = Source(name=name, node=self.configuration.nodes[name], settings=self.configuration)
        keeper = InboxKeeper(
            Inbox(self.inbox, self.ledger, self.configuration.receive), self.ledger
        )
        try:
            for one in wanted:
                for prior in priors(source, study.study_instance_uid, one):
                    fetch_study(source, str(prior.study_instance_uid), keeper)
        except (PeerUnavailable, PeerRefused) as problem:
            LOG.warning(
                "earlier studies could not be fetched: %s",
                problem,
                extra={
                    "action": "priors_missing",
                    "study_instance_uid": study.study_instance_uid,
                },
            )
