"""Insertions of the right ventricle and trust on the page, in a browser against the real server."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import select, update

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import CorrectionRow
from pipeline.ledger.tables import Job
from tests.review.test_page import centre, drag, in_view
from tests.support.reviewpage import SCRIPT, Reader, needs_browser

pytestmark = needs_browser


@pytest.fixture
def judged(review_ledger: Path) -> None:
    """Have the results of one patient say that something speaks against them, as markup would."""
    with Ledger.open(str(review_ledger)) as ledger, ledger.transaction() as session:
        rows = session.execute(select(Job.id, Job.outcome).where(Job.analysis == "perfusion")).all()
        for row in rows:
            slices = [
                {
                    "slice_index": index,
                    "verdict": "not trusted",
                    "failure_probability": 0.61,
                    "against": [SCRIPT, "the wall is not closed"],
                }
                for index in range(2)
            ]
            outcome = {**(row.outcome or {}), "trust": {"slices": slices}}
            session.execute(update(Job).where(Job.id == row.id).values(outcome=outcome))


def open_one(reader: Reader) -> None:
    """Open a result of the pair: whatever other tests have judged, one is still to be read."""
    reader.choose("Analysis", "perfusion")
    reader.page.get_by_role("searchbox").fill("Coen")
    expect(reader.page.get_by_test_id("count")).to_have_text(re.compile(r"^\s*[12] results?\b"))
    reader.page.locator("[role=grid]").focus()
    reader.page.keyboard.press("Enter")
    reader.wait_for_image()


def handle(reader: Reader, name: str) -> Locator:
    """Return a handle that can be taken hold of."""
    return reader.page.get_by_role("button", name=re.compile(f"^{name} insertion"))


def drafts(ledger: Path) -> list[str]:
    """Return the kinds of all corrections that are kept."""
    with Ledger.open(str(ledger)) as opened, opened.reading() as session:
        return list(session.scalars(select(CorrectionRow.kind)))


def test_insertions_are_dragged_moved_by_keys_undone_and_saved(
    reader: Reader, review_ledger: Path
) -> None:
    reader.sign_in("anna")
    open_one(reader)
    page = reader.page
    eye = page.get_by_test_id("bullseye").first
    values = eye.locator("svg text")
    was = values.all_text_contents()
    page.get_by_role("button", name="Insertions", exact=True).click()
    anterior, inferior = handle(reader, "Anterior"), handle(reader, "Inferior")
    expect(inferior).to_be_visible()
    save = page.get_by_role("button", name="Save insertions")
    expect(save).to_be_disabled()

    inferior.focus()
    begun = centre(inferior)
    page.keyboard.press("Shift+ArrowRight")
    expect(save).to_be_enabled()
    assert centre(inferior)[0] > begun[0] + 5
    page.get_by_role("button", name="Undo").click()
    expect(save).to_be_disabled()
    assert centre(inferior) == pytest.approx(begun, abs=0.5)

    # About a segment further round the heart.
    start = centre(in_view(anterior))
    drag(reader, start, (75, -12))
    assert centre(anterior) != pytest.approx(start, abs=10)
    expect(page.get_by_role("button", name="Contour")).to_be_disabled()
    assert reader.faults() == []
    reader.picture("insertions moved")
    save.click()
    expect(page.get_by_test_id("insertions told")).to_contain_text("saved as a draft")
    assert "insertions" in drafts(review_ledger)
    expect(page.get_by_text("Of the correction that was saved.").first).to_be_visible()
    assert values.all_text_contents() != was
    in_view(eye)
    reader.picture("insertions saved")

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Of the correction that was saved.")).to_have_count(0)
    assert values.all_text_contents() == was
    expect(page.get_by_role("button", name=re.compile("^Accept"))).not_to_contain_text("edits")


@pytest.mark.usefixtures("judged")
def test_a_viewer_sees_insertions_and_trust_and_moves_nothing(reader: Reader) -> None:
    reader.sign_in("vera")
    open_one(reader)
    page = reader.page
    seen = page.get_by_role("img", name=re.compile("insertion of the right ventricle"))
    expect(seen).to_have_count(2)
    expect(page.get_by_role("button", name="Insertions", exact=True)).to_have_count(0)
    page.keyboard.press("i")
    expect(handle(reader, "Anterior")).to_have_count(0)
    trust = page.get_by_test_id("trust")
    expect(trust).to_contain_text("not trusted")
    expect(trust.get_by_role("listitem")).to_have_text([SCRIPT, "the wall is not closed"])
    expect(trust).to_contain_text(re.compile(r"Motion left between beats: [0-9.]+ mm"))
    assert page.locator("main script").count() == 0
    assert reader.faults() == []
    in_view(trust)
    reader.picture("perfusion trust")
