"""A job goes through its states as the table says, whatever is done with it in whatever order."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import ALLOWED, JobState, before, may_become
from tests.support.jobs import artifact, job_request

REQUEST = job_request()
JOB = REQUEST.identity.job_id


def test_every_state_can_be_left_towards_a_new_attempt() -> None:
    assert set(ALLOWED) == set(JobState)
    assert set(before(JobState.RUNNING)) == set(JobState)
    assert before(JobState.DONE) == before(JobState.FAILED) == (JobState.RUNNING,)
    begins = [s for s in JobState if may_become(None, s)]
    assert begins == [JobState.WAITING, JobState.RUNNING]


class JobLife(RuleBasedStateMachine):
    """The ledger against a model of it: the last attempt alone may end the job, once."""

    @initialize()
    def open(self) -> None:
        self.place = TemporaryDirectory()
        self.ledger = Ledger.open(str(Path(self.place.name, "ledger.db")))
        self.attempts = 0
        self.state: JobState | None = None
        self.artifacts: tuple[str, ...] = ()

    @rule()
    def begin(self) -> None:
        self.attempts += 1
        assert self.ledger.begin(REQUEST) == self.attempts
        self.state = JobState.RUNNING

    @rule(back=st.integers(0, 2), paths=st.sets(st.sampled_from(["a", "b", "c"])))
    def complete(self, back: int, paths: set[str]) -> None:
        made = tuple(artifact(path) for path in sorted(paths))
        ends = back == 0 and self.state is JobState.RUNNING
        recorded = self.ledger.complete(
            JOB, self.attempts - back, folder=Path("/results"), artifacts=made, outcome={}
        )
        assert recorded == ends
        if ends:
            self.state, self.artifacts = JobState.DONE, tuple(sorted(paths))

    @rule(back=st.integers(0, 2))
    def fail(self, back: int) -> None:
        ends = back == 0 and self.state is JobState.RUNNING
        recorded = self.ledger.fail(JOB, self.attempts - back, error="E", reason="r")
        assert recorded == ends
        if ends:
            self.state = JobState.FAILED

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "ledger"):
            return
        found = self.ledger.find(JOB)
        assert (None if found is None else found.state) is self.state
        if found is not None:
            assert found.attempts == self.attempts
            assert tuple(a.relative_path for a in found.artifacts) == self.artifacts

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.place.cleanup()


TestJobLife = JobLife.TestCase
TestJobLife.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, derandomize=True
)
