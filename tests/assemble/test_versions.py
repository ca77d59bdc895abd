"""Studies that are received are done by the versions in service, also when instances come late."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.admit import admit
from pipeline.errors import UnusableCall
from pipeline.inservice import InService
from pipeline.ledger.listing import JobLine, Wanted, jobs
from pipeline.ledger.queue import Queue
from pipeline.ledger.states import JobState
from pipeline.ledger.versionpairs import inputs_of
from pipeline.ledger.versions import Version, Versions
from pipeline.registry.store import Registry
from tests.assemble.test_assembler import Site, files, settings  # noqa: F401 - a fixture
from tests.support.versions import version_of

ACTOR = "anna@ward"


class Received:
    """An assembler with a registry."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.registry = Registry(root=folder / "registry")
        self.site = Site(folder, models, settings())
        own = self.site.configuration
        self.site.configuration = replace(
            own, models=replace(own.models, registry=self.registry.root)
        )
        service = InService(self.site.ledger, self.site.configuration)
        assembler = self.site.assembler
        self.site.assembler = replace(assembler, terms=replace(assembler.terms, service=service))
        self.versions = Versions(self.site.ledger)
        self.models, self.folder = models, folder

    def version(self, number: int) -> Version:
        label = f"1.{number}.0"
        bundle = version_of(self.models, self.folder / label, label)
        found = admit(bundle.folder, self.registry, self.site.ledger, ACTOR)
        return self.versions.enable(found.digest, ACTOR)

    def lines(self, role: str) -> list[JobLine]:
        """Return the jobs of versions of a role, in the order in which they were made."""
        found = [line for line in jobs(self.site.ledger, Wanted()) if line.role == role]
        return sorted(found, key=lambda line: line.created_at)

    def predecessor(self, job_id: UUID) -> UUID | None:
        claim = Queue(self.site.ledger).claim(job_id, "test", 30.0)
        assert claim is not None
        return claim.order.predecessor


@pytest.fixture
def received(tmp_path: Path, tiny_bundle: Path) -> Iterator[Received]:
    made = Received(tmp_path, tiny_bundle)
    yield made
    made.site.ledger.close()


def test_a_role_that_changes_is_kept_to_without_a_restart(
    received: Received,
    files: list[Path],  # noqa: F811 - the fixture
) -> None:
    version = received.version(1)
    received.versions.promote(version.digest, ACTOR, {})
    received.site.receive(*files[:-1])
    received.site.look()
    (line,) = received.lines("live")
    assert line.bundle.endswith(" 1.1.0")
    study = received.site.study.study_instance_uid
    inputs = inputs_of(received.site.ledger, "perfusion", [study])
    assert len(inputs) == len(files) - 1
    assert all(path.is_file() for path in inputs)
    with pytest.raises(UnusableCall, match="1 of 2 studies have no job of perfusion"):
        inputs_of(received.site.ledger, "perfusion", [study, "2.25.1"])


def test_a_shadow_goes_beside_a_study_and_has_no_part_in_its_revisions(
    received: Received,
    files: list[Path],  # noqa: F811 - the fixture
) -> None:
    received.versions.shadow(received.version(1).digest, ACTOR)
    received.site.receive(*files[:-1])
    received.site.look()
    (live,), (shadow,) = received.lines("live"), received.lines("shadow")
    assert received.site.work(live.job_id) is JobState.DONE
    running = Queue(received.site.ledger).claim(shadow.job_id, "another", 30.0)
    assert running is not None
    received.site.receive(files[-1])
    received.site.look()
    assert received.site.study.state == "taken", "a shadow that runs keeps no study waiting"
    (_, revision), (_, beside) = received.lines("live"), received.lines("shadow")
    assert received.predecessor(revision.job_id) == live.job_id
    assert received.predecessor(beside.job_id) is None


def test_a_shadows_result_is_not_what_a_revision_takes_the_place_of(
    received: Received,
    files: list[Path],  # noqa: F811 - the fixture
) -> None:
    received.versions.shadow(received.version(1).digest, ACTOR)
    received.site.receive(*files[:-1])
    received.site.look()
    (shadow,) = received.lines("shadow")
    assert received.site.work(shadow.job_id) is JobState.DONE
    received.site.receive(files[-1])
    received.site.look()
    first, second = received.lines("live")
    assert first.state is JobState.CANCELLED
    assert received.predecessor(second.job_id) is None
