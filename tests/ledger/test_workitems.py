"""Steps in the ledger: each is intended once, and changes only from where it stands."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.workitems import Workitems
from pipeline.steps import StepState

SCHEDULED, IN_PROGRESS = StepState.SCHEDULED, StepState.IN_PROGRESS


def test_of_many_that_intend_a_step_one_does(ledger: Ledger) -> None:
    items = Workitems(ledger)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: items.intend("2.25.1", "ris", None), range(16)))
    (only,) = [item for item in made if item is not None]
    assert items.find("2.25.1") == only
    assert items.open("ris") == (only,)
    assert items.open("another") == ()


def test_a_change_compares_before_it_sets(ledger: Ledger) -> None:
    items = Workitems(ledger)
    items.intend("2.25.1", "ris", "2.25.9")
    assert not items.change("2.25.1", (IN_PROGRESS, StepState.COMPLETED))
    assert items.change("2.25.1", (SCHEDULED, IN_PROGRESS))
    assert not items.change("2.25.1", (SCHEDULED, IN_PROGRESS))
    assert not items.forget("2.25.1")
    assert items.change("2.25.1", (IN_PROGRESS, StepState.COMPLETED))
    items.assign("2.25.1", [uuid4()])
    items.told("2.25.1", 50, "late")
    assert items.request_cancel("2.25.1") is StepState.COMPLETED
    (found,) = items.listed(10)
    assert (found.job_ids, found.progress, found.cancel_requested) == ((), 0, False)
    assert "transaction_uid" not in found.to_json()
    assert items.request_cancel("2.25.2") is None
