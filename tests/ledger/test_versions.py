"""Versions go through their roles as the table says, and the audit log tells every step."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import insert, select, update

from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger import audit
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.roles import ALLOWED, Role, may_become
from pipeline.ledger.versions import Candidate, Version, VersionRow, Versions

ANALYSES = ("perfusion", "phases")
N_EACH = 3
ACTOR = "anna@ward"


def candidate(analysis: str, number: int, digit: str = "a") -> Candidate:
    return Candidate(
        analysis=analysis,
        name=f"{analysis} pool",
        version=f"1.{number}.0",
        digest=f"{digit}{ANALYSES.index(analysis)}{number:062d}",
    )


def test_every_version_can_be_retired_but_the_one_that_is_live() -> None:
    assert set(ALLOWED) == set(Role)
    assert [r for r in Role if not may_become(r, Role.RETIRED)] == [Role.LIVE, Role.RETIRED]
    assert [r for r in Role if may_become(Role.RETIRED, r)] == [Role.ENABLED]
    assert not may_become(Role.IMPORTED, Role.LIVE)


class VersionLife(RuleBasedStateMachine):
    """The ledger against a model of it: who may become what, and what a rollback returns to."""

    @initialize()
    def open(self) -> None:
        self.place = TemporaryDirectory()
        self.ledger = Ledger.open(str(Path(self.place.name, "ledger.db")))
        self.versions = Versions(self.ledger)
        self.roles: dict[str, Role] = {}
        self.before: dict[str, str | None] = {}
        self.of: dict[str, str] = {}
        self.done: list[tuple[str, str]] = []

    def holder(self, analysis: str, role: Role) -> str | None:
        held = [d for d, r in self.roles.items() if r is role and self.of[d] == analysis]
        assert len(held) <= 1
        return held[0] if held else None

    def attempt(self, can: bool, change: Callable[[], object], done: tuple[str, str]) -> None:
        if can:
            change()
            self.done.append(done)
        else:
            with pytest.raises(UnusableCall):
                change()

    versions_of = st.tuples(st.sampled_from(ANALYSES), st.integers(0, N_EACH - 1))

    @rule(which=versions_of, digit=st.sampled_from("ab"))
    def add(self, which: tuple[str, int], digit: str) -> None:
        asked, other = candidate(*which, digit), candidate(*which, "ab".replace(digit, ""))
        if asked.digest in self.roles:
            found = self.versions.add(asked, ACTOR)
            assert found.role is self.roles[asked.digest], "a version that is known stays as it is"
            return
        free = other.digest not in self.roles
        label = f"{asked.analysis}@{asked.version}"
        self.attempt(free, lambda: self.versions.add(asked, ACTOR), ("model imported", label))
        if free:
            self.roles[asked.digest] = Role.IMPORTED
            self.of[asked.digest] = asked.analysis

    def known(self, number: int) -> str | None:
        digests = sorted(self.roles)
        return digests[number % len(digests)] if digests else None

    def label(self, digest: str) -> str:
        return f"{self.of[digest]}@1.{int(digest[2:])}.0"

    @rule(number=st.integers(0, 5), role=st.sampled_from([Role.ENABLED, Role.SHADOW, Role.RETIRED]))
    def change(self, number: int, role: Role) -> None:
        digest = self.known(number)
        if digest is None:
            return
        calls = {
            Role.ENABLED: (self.versions.enable, "model enabled"),
            Role.SHADOW: (self.versions.shadow, "model made shadow"),
            Role.RETIRED: (self.versions.retire, "model retired"),
        }
        call, action = calls[role]
        if self.roles[digest] is role:
            call(digest, ACTOR)
            return
        now = self.roles[digest]
        can = now is not Role.LIVE and may_become(now, role)
        self.attempt(can, lambda: call(digest, ACTOR), (action, self.label(digest)))
        if can:
            self.roles[digest] = role

    @rule(number=st.integers(0, 5), share=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def canary(self, number: int, share: float) -> None:
        digest = self.known(number)
        if digest is None:
            return
        free = self.holder(self.of[digest], Role.CANARY) in (None, digest)
        can = 0 < share < 1 and free and may_become(self.roles[digest], Role.CANARY)
        done = ("model made canary", self.label(digest))
        self.attempt(can, lambda: self.versions.canary(digest, share, ACTOR), done)
        if can:
            self.roles[digest] = Role.CANARY

    @rule(number=st.integers(0, 5))
    def promote(self, number: int) -> None:
        digest = self.known(number)
        if digest is None:
            return
        can = may_become(self.roles[digest], Role.LIVE)
        done = ("model promoted", self.label(digest))
        self.attempt(can, lambda: self.versions.promote(digest, ACTOR, {}), done)
        if can:
            earlier = self.holder(self.of[digest], Role.LIVE)
            if earlier is not None:
                self.roles[earlier] = Role.ENABLED
            self.before[digest], self.roles[digest] = earlier, Role.LIVE

    @rule(analysis=st.sampled_from(ANALYSES))
    def rollback(self, analysis: str) -> None:
        live = self.holder(analysis, Role.LIVE)
        back = None if live is None else self.before[live]
        can = live is not None and (back is None or may_become(self.roles[back], Role.LIVE))
        done = ("model rolled back", "" if live is None else self.label(live))
        self.attempt(can, lambda: self.versions.rollback(analysis, ACTOR), done)
        if can and live is not None:
            self.roles[live] = Role.ENABLED
            if back is not None:
                self.roles[back] = Role.LIVE

    @invariant()
    def the_ledger_agrees(self) -> None:
        found = self.versions.listed()
        assert {v.digest: v.role for v in found} == self.roles
        assert all((v.share is not None) == (v.role is Role.CANARY) for v in found)

    @invariant()
    def the_audit_log_has_every_step(self) -> None:
        told = [(e.audited.action, e.audited.subject) for e in audit.entries(self.ledger)]
        assert told == [(action, f"model {label}") for action, label in self.done]

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            assert audit.verify(self.ledger).fault is None
            self.ledger.close()
            self.place.cleanup()


TestVersionLife = VersionLife.TestCase
TestVersionLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


def added(versions: Versions, number: int) -> Version:
    version = versions.add(candidate("perfusion", number), ACTOR)
    return versions.enable(version.digest, ACTOR)


@pytest.mark.parametrize("role", [Role.LIVE, Role.CANARY])
def test_the_database_lets_one_version_of_an_analysis_have_some_roles(
    role: Role, ledger: Ledger
) -> None:
    versions = Versions(ledger)
    first, _ = added(versions, 0), added(versions, 1)
    with pytest.raises(LedgerUnavailable), ledger.transaction() as session:
        session.execute(update(VersionRow).values(role=role))
    with ledger.transaction() as session:
        session.execute(
            insert(VersionRow).values(
                analysis="phases", name="n", version="1", digest="c" * 64, role=role
            )
        )
        session.execute(
            update(VersionRow).where(VersionRow.digest == first.digest).values(role=role)
        )


def test_a_promotion_and_a_rollback_work_on_every_database(ledger: Ledger) -> None:
    versions = Versions(ledger)
    first, second = added(versions, 0), added(versions, 1)
    versions.promote(first.digest, ACTOR, {"evidence": "none: test"})
    assert versions.promote(second.digest, ACTOR, {}).before == first.digest
    back = versions.rollback("perfusion", ACTOR)
    assert back is not None
    assert (back.digest, back.role) == (first.digest, Role.LIVE)
    assert versions.rollback("perfusion", ACTOR) is None
    last = audit.entries(ledger)[-1].audited
    assert (last.actor, last.subject) == (ACTOR, "model perfusion@1.0.0")
    assert last.detail["to"] == "installed"


def test_a_change_that_cannot_be_audited_is_not_made(ledger: Ledger) -> None:
    versions = Versions(ledger)
    version = added(versions, 0)
    with ledger.reading() as session:
        before = session.execute(select(VersionRow.role)).scalar_one()
    with pytest.raises(ValueError, match="not JSON compliant"):
        versions.promote(version.digest, ACTOR, {"evidence": float("nan")})
    with ledger.reading() as session:
        assert session.execute(select(VersionRow.role)).scalar_one() == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "perfusion@9.9.9",
            "no version 'perfusion@9.9.9' in the registry; known are perf",
        ),
        ("a00", "no version 'a00'"),
        ("a0000000", "is 2 versions"),
    ],
)
def test_a_name_that_is_no_version_is_refused(name: str, said: str, ledger: Ledger) -> None:
    versions = Versions(ledger)
    added(versions, 0)
    added(versions, 1)
    with pytest.raises(UnusableCall, match=said):
        versions.named(name)
    assert versions.named("perfusion@1.1.0").digest == candidate("perfusion", 1).digest


def test_messages_say_what_is_to_be_done(ledger: Ledger) -> None:
    versions = Versions(ledger)
    raw = versions.add(candidate("perfusion", 2), ACTOR)
    with pytest.raises(UnusableCall, match="is imported, and does not become live: enable it"):
        versions.promote(raw.digest, ACTOR, {})
    with pytest.raises(UnusableCall, match="no version of perfusion is live: the installed"):
        versions.rollback("perfusion", ACTOR)
    first, second = added(versions, 0), added(versions, 1)
    versions.promote(first.digest, ACTOR, {})
    with pytest.raises(UnusableCall, match=r"perfusion@1.0.0 is live: promote another"):
        versions.retire(first.digest, ACTOR)
    versions.canary(second.digest, 0.1, ACTOR)
    with pytest.raises(UnusableCall, match=r"perfusion@1.1.0 is the canary: enable it first"):
        versions.canary(versions.enable(raw.digest, ACTOR).digest, 0.1, ACTOR)
    with pytest.raises(UnusableCall, match="share is 1, possible is more than 0 and less than 1"):
        versions.canary(second.digest, 1.0, ACTOR)
    with pytest.raises(UnusableCall, match=r"known with the digest a000.* needs another version"):
        versions.add(candidate("perfusion", 0, "b"), ACTOR)
