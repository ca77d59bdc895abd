"""Which versions do a series: what is live does, or the canary; shadows beside.

The ledger decides anew for each submission, so that a promotion needs no restart. A bundle that was
opened is kept: its digest names it.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from pipeline.analysis import Analysis
from pipeline.bundled.kinds import bundled_kinds, registered_kinds
from pipeline.config import Configuration, ModelSettings
from pipeline.errors import BundleRejected, BundleUntrusted
from pipeline.identity import digest_settings
from pipeline.infer.terms import Compute
from pipeline.ingest.candidate import Candidate
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.roles import Role
from pipeline.ledger.versions import Version, Versions
from pipeline.owner import this_person
from pipeline.perform import DEFAULT_COMPUTE, open_analyses
from pipeline.plan import PlannedJob
from pipeline.registry.store import Registry

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assigned:
    """A job of one version."""

    job: PlannedJob
    """The job, with the version's bundle."""

    role: Role
    """What the version is: live, canary or shadow."""


class InService:
    """The versions that are in service.

    Parameters
    ----------
    ledger
        Says what each version does.
    configuration
        The site's settings, with the folder of the registry.
    compute
        What networks run on.
    """

    def __init__(
        self, ledger: Ledger, configuration: Configuration, compute: Compute = DEFAULT_COMPUTE
    ) -> None:
        self._ledger = ledger
        self._configuration = configuration
        self._compute = compute
        self._open: dict[str, Analysis] = {}
        self._refused: set[tuple[str, str]] = set()

    def analyses(self, names: Sequence[str] = ()) -> tuple[Analysis, ...]:
        """Return the analyses to choose from.

        They are those of installed bundles, and those that are in the registry alone, if a version
        of theirs is live.

        Parameters
        ----------
        names
            Names of the analyses that are asked for; all if empty.

        Raises
        ------
        UnusableCall
            If there is no analysis of a name.
        BundleRejected
            If a bundle is missing or altered.
        LedgerUnavailable
            If the ledger cannot be read.
        """
        models = self._configuration.models
        installed = {kind.name for kind in bundled_kinds(models.path)}
        only_here = {kind.name for kind in registered_kinds(models.registry)} - installed
        live = [
            version
            for name, version in self._live().items()
            if name in only_here and (not names or name in names)
        ]
        others = [name for name in names if name not in {version.analysis for version in live}]
        found: tuple[Analysis, ...] = ()
        if others or not names:
            found = open_analyses(others, self._configuration, self._compute)
        return (*found, *(self.opened(version) for version in live))

    def live(self, names: Sequence[str] = ()) -> tuple[Analysis, ...]:
        """Return analyses as they are done now: with the live version's bundle where there is one.

        Parameters
        ----------
        names
            Names of the analyses; all if empty.

        Raises
        ------
        UnusableCall
            If there is no analysis of a name.
        BundleRejected
            If a bundle is missing or altered.
        LedgerUnavailable
            If the ledger cannot be read.
        """
        live = self._live()
        return tuple(
            self.opened(live[each.name]) if each.name in live else each
            for each in self.analyses(names)
        )

    def _live(self) -> dict[str, Version]:
        """Return the live versions by their analyses."""
        versions = Versions(self._ledger).listed()
        return {each.analysis: each for each in versions if each.role is Role.LIVE}

    def now(self) -> "Duty":
        """Return what the versions do now.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be read.
        """
        return Duty(self, Versions(self._ledger).listed())

    def opened(self, version: Version) -> Analysis:
        """Return an analysis with a version's bundle, under the site's settings.

        Raises
        ------
        BundleRejected
            If the bundle is not in the registry, is altered, or is not signed as the site demands.
        """
        if version.digest not in self._open:
            try:
                self._open[version.digest] = open_version(
                    version.analysis, version.digest, self._configuration, self._compute
                )
            except BundleUntrusted as problem:
                self._record(version, problem)
                raise
        return self._open[version.digest]

    def _record(self, version: Version, problem: BundleUntrusted) -> None:
        """Record in the audit log that a version was refused; once, however often it is asked."""
        # Only now: a version that is refused is rare.
        from pipeline.ledger.refusals import Refusal, record_refusal

        if (version.digest, str(problem)) not in self._refused:
            refusal = Refusal(
                model=version.label, digest=version.digest, tried="open", reason=str(problem)
            )
            record_refusal(self._ledger, refusal, this_person())
            self._refused.add((version.digest, str(problem)))


class Duty:
    """What the versions do at one moment."""

    def __init__(self, service: InService, versions: tuple[Version, ...]) -> None:
        self._service, self._versions = service, versions

    def assigned(self, job: PlannedJob) -> tuple[Assigned, ...]:
        """Return the jobs that a series and an analysis make: first the one that counts.

        Parameters
        ----------
        job
            The series and the analysis, with the bundle that serves where no version is live.

        Raises
        ------
        BundleRejected
            If the live bundle is not there: a study is done by no other model than the site's.
        """
        live = self._one(job, Role.LIVE)
        if live is not None:
            job = _with(job, self._service.opened(live))
        counts = self._canary(job) or Assigned(job=job, role=Role.LIVE)
        return (counts, *self._shadows(job, counts.job.identity.bundle_digest))

    def _canary(self, job: PlannedJob) -> Assigned | None:
        """Return the canary's job if the study is among its share."""
        version = self._one(job, Role.CANARY)
        if version is None or version.share is None:
            return None
        if place_of(job.candidate, version.digest) >= version.share:
            return None
        analysis = self._available(version)
        return None if analysis is None else Assigned(job=_with(job, analysis), role=Role.CANARY)

    def _shadows(self, job: PlannedJob, digest: str) -> Iterator[Assigned]:
        """Yield the jobs of shadows that are not the bundle that does the study."""
        for version in self._versions:
            is_shadow = version.role is Role.SHADOW and version.digest != digest
            if is_shadow and version.analysis == job.analysis.name:
                analysis = self._available(version)
                if analysis is not None:
                    yield Assigned(job=_with(job, analysis), role=Role.SHADOW)

    def _one(self, job: PlannedJob, role: Role) -> Version | None:
        """Return the version of the job's analysis that has a role."""
        for version in self._versions:
            if version.role is role and version.analysis == job.analysis.name:
                return version
        return None

    def _available(self, version: Version) -> Analysis | None:
        """Return a version that is on trial, or None: the study does not wait for it."""
        try:
            return self._service.opened(version)
        except BundleRejected as problem:
            LOG.error(  # noqa: TRY400 - the message says it; the trace is of no use
                "the %s version cannot be opened: %s",
                version.role.value,
                problem,
                extra={"action": "version_unusable", "bundle_digest": version.digest},
            )
            return None


def place_of(candidate: Candidate, digest: str) -> float:
    """Return where a study lies between 0 and 1 for a version: the same each time, others apart.

    All series of a study go the same way; without a study, the series decides.
    """
    study = candidate.study_instance_uid or candidate.input_digest
    return int.from_bytes(sha256(f"{study}\n{digest}".encode()).digest()[:8], "big") / 2**64


def models_of(own: ModelSettings, digest: str) -> ModelSettings:
    """Return where the bundle of a digest is: in the registry, or where the settings say."""
    if own.registry is None or not Registry(root=own.registry).has(digest):
        return own
    return replace(own, path=Registry(root=own.registry).place(digest))


def open_version(
    name: str, digest: str, configuration: Configuration, compute: Compute = DEFAULT_COMPUTE
) -> Analysis:
    """Return an analysis with the bundle of a digest, under some settings.

    Raises
    ------
    BundleRejected
        If there is no such bundle, or it is altered.
    """
    models = models_of(configuration.models, digest)
    (analysis,) = open_analyses([name], replace(configuration, models=models), compute)
    if analysis.bundle.digest != digest:
        raise BundleRejected(f"no bundle of {name} with the digest {digest[:12]} in the registry")
    return analysis


def _with(job: PlannedJob, analysis: Analysis) -> PlannedJob:
    """Return a job as another bundle does it."""
    identity = replace(
        job.identity,
        bundle_digest=analysis.bundle.digest,
        configuration_digest=digest_settings(analysis.configuration),
    )
    return replace(job, analysis=analysis, identity=identity)
