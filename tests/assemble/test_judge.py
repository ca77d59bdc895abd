"""A study is taken when it is proven whole, or when nothing more can be waited for."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assemble.judge import LONGEST_PAUSE_S, Evidence, judge
from pipeline.connections import ReceiveSettings
from pipeline.gateways.query import Counts
from pipeline.ledger.arrivals import Arriving
from pipeline.ledger.exchange import ArrivalState

SETTINGS = ReceiveSettings(ask="pacs", ask_s=1.0, quiet_s=60.0, longest_s=3600.0)
OWN = frozenset({"2.25.9"})


def study(quiet_s: float = 1.0, looks: int = 0, expected: tuple[str, ...] = ()) -> Arriving:
    return Arriving(
        arrival_id=1,
        study_instance_uid="2.25.1",
        state=ArrivalState.ARRIVING,
        revision=0,
        looks=looks,
        last_at=0.0,
        quiet_s=quiet_s,
        expected=None,
        expected_uids=expected,
        n_instances=3,
        why=None,
    )


def received(**series: int) -> dict[str, str]:
    """Return instances of series that are named by the last part of their UIDs."""
    return {
        f"2.25.{name[1:]}.{number}": f"2.25.{name[1:]}"
        for name, count in series.items()
        for number in range(count)
    }


def counted(counts: Mapping[str, int], **more: object) -> Evidence:
    there = Counts(study=sum(counts.values()), series=counts)
    return Evidence(received=received(s2=3, s3=2), counts=there, **more)  # type: ignore[arg-type]


def test_the_same_counts_prove_it_at_once() -> None:
    found = judge(study(), counted({"2.25.2": 3, "2.25.3": 2}), SETTINGS, OWN)
    assert (found.is_taken, found.why) == (True, "the node has the same 5 instances")
    assert found.expected == 5


def test_own_results_count_for_nothing() -> None:
    there = counted({"2.25.2": 3, "2.25.3": 2, "2.25.9": 7})
    assert judge(study(), there, SETTINGS, OWN).is_taken
    here = replace(there, received=received(s2=3, s3=2, s9=1))
    assert judge(study(), here, SETTINGS, OWN).is_taken


@pytest.mark.parametrize(
    ("counts", "said", "waits_s"),
    [
        ({"2.25.2": 4, "2.25.3": 2}, "3 of 4 instances of series 2.25.2", 3600.0),
        ({"2.25.2": 3, "2.25.3": 2, "2.25.4": 1}, "1 series of the node were not sent", 60.0),
        ({"2.25.2": 2, "2.25.3": 2}, "the node has fewer instances", 60.0),
        ({"2.25.2": 3}, "the node has fewer instances", 60.0),
    ],
)
def test_other_counts_are_waited_for(counts: dict[str, int], said: str, waits_s: float) -> None:
    waits = judge(study(waits_s - 0.5, looks=9), counted(counts), SETTINGS, OWN)
    assert not waits.is_taken
    assert said in waits.why
    assert waits.after_s == pytest.approx(0.5)
    taken = judge(study(waits_s), counted(counts), SETTINGS, OWN)
    assert taken.is_taken
    assert said in taken.why


def test_all_that_was_announced_proves_it() -> None:
    uids = tuple(received(s2=3, s3=2))
    evidence = Evidence(received=received(s2=3, s3=2))
    assert judge(study(expected=uids), evidence, SETTINGS, OWN).is_taken
    found = judge(study(300.0, expected=(*uids, "2.25.77")), evidence, SETTINGS, OWN)
    assert (found.is_taken, found.why) == (False, "1 of 6 announced instances miss")
    late = judge(study(3600.0, expected=(*uids, "2.25.77")), evidence, SETTINGS, OWN)
    assert late.is_taken
    assert late.why.endswith("taken as it is after 3600 s")


def test_without_a_proof_it_is_quiet_that_counts() -> None:
    evidence = Evidence(received=received(s2=3))
    assert not judge(study(59.0), evidence, SETTINGS, OWN).is_taken
    assert judge(study(60.0), evidence, SETTINGS, OWN).is_taken
    away = replace(evidence, problem="pacs does not say (no answer)")
    found = judge(study(60.0), away, SETTINGS, OWN)
    assert (found.is_taken, "pacs does not say" in found.why) == (True, True)


def test_a_gap_is_waited_for_unless_nobody_has_more() -> None:
    gap = ("2.25.2: missing beat 3 of 5 on one slice",)
    quiet = Evidence(received=received(s2=3), gaps=gap)
    assert not judge(study(3599.0), quiet, SETTINGS, OWN).is_taken
    assert judge(study(3600.0), quiet, SETTINGS, OWN).is_taken
    proven = counted({"2.25.2": 3, "2.25.3": 2}, gaps=gap)
    assert not judge(study(59.0), proven, SETTINGS, OWN).is_taken
    assert judge(study(60.0), proven, SETTINGS, OWN).is_taken


numbers = st.dictionaries(st.sampled_from(["2.25.2", "2.25.3", "2.25.4"]), st.integers(1, 5))


@given(
    numbers,
    st.one_of(st.none(), numbers),
    st.floats(0, 7200),
    st.integers(0, 40),
    st.booleans(),
    st.lists(st.sampled_from(sorted(received(s2=3, s3=2, s4=1)))),
)
def test_it_is_taken_in_the_end_and_looked_at_till_then(
    here: dict[str, int],
    there: dict[str, int] | None,
    quiet_s: float,
    looks: int,
    has_gap: bool,
    announced: list[str],
) -> None:
    evidence = Evidence(
        received={f"{uid}.{n}": uid for uid, count in here.items() for n in range(count)},
        counts=None if there is None else Counts(study=sum(there.values()), series=there),
        gaps=("a gap",) if has_gap else (),
    )
    seen = study(quiet_s, looks, tuple(dict.fromkeys(announced)))
    found = judge(seen, evidence, SETTINGS, OWN)
    if quiet_s >= SETTINGS.longest_s:
        assert found.is_taken
    if found.is_taken and quiet_s < SETTINGS.quiet_s:
        # Only a proof takes a study that early, and nothing may speak against it.
        assert not has_gap
        assert there == here or (announced and set(announced) <= set(evidence.received))
    if not found.is_taken:
        assert found.after_s > 0
        assert quiet_s + found.after_s <= SETTINGS.longest_s + 1e-6
        assert there is None or found.after_s <= LONGEST_PAUSE_S
    assert found.why
