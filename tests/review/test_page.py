"""The page in a browser: reading, correcting and judging results, against the real server."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

from playwright.sync_api import Browser, Locator, expect
from sqlalchemy import select

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job
from tests.support.reviewpage import SCRIPT, Reader, needs_browser
from tests.support.service import wait_until

pytestmark = needs_browser


def centre(locator: Locator) -> tuple[float, float]:
    """Return the middle of what is shown [px]."""
    box = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def in_view(locator: Locator) -> Locator:
    """Scroll until something is in the middle of the window."""
    locator.evaluate("element => element.scrollIntoView({block: 'center'})")
    return locator


def drag(reader: Reader, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Drag with the mouse."""
    mouse = reader.page.mouse
    mouse.move(*start)
    mouse.down()
    for step in range(1, 6):
        mouse.move(start[0] + by[0] * step / 5, start[1] + by[1] * step / 5)
    mouse.up()


def job_of(ledger: Path, address: str) -> dict[str, Any]:
    """Return what the ledger says of the job whose page an address is."""
    job_id = re.findall(r"case/([0-9a-f-]{36})", address)[0]
    with Ledger.open(str(ledger)) as opened, opened.reading() as session:
        rows = session.execute(select(Job.id, Job.predecessor_id)).all()
    return {
        "job_id": job_id,
        "successors": [str(row.id) for row in rows if str(row.predecessor_id) == job_id],
    }


def test_a_wrong_password_is_told_and_signs_nobody_in(reader: Reader) -> None:
    page = reader.page
    page.goto(reader.address)
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    reader.picture("sign in")


def test_the_least_certain_is_found_scrolled_edited_and_accepted(
    reader: Reader, review_ledger: Path
) -> None:
    reader.sign_in("anna")
    page = reader.page
    reader.choose("Analysis", "perfusion")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(r"^\s*6 results"))
    bars = page.locator(".rows .bar span")
    widths = [float(each.evaluate("e => parseFloat(e.style.width)")) for each in bars.all()]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 100
    reader.picture("worklist")

    page.keyboard.press("Enter")
    reader.wait_for_image()
    stage = page.get_by_test_id("stage")
    before = int(stage.get_attribute("data-frame") or 0)
    page.mouse.move(*centre(stage))
    for _ in range(3):
        page.mouse.wheel(0, 120)
    expect(stage).to_have_attribute("data-frame", str(before + 3))
    page.keyboard.press("ArrowDown")
    expect(stage).to_have_attribute("data-slice", "0")
    reader.picture("perfusion")

    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Uncertainty")).to_have_attribute("aria-pressed", "true")
    page.get_by_label(re.compile("^Opacity")).fill("0.8")
    reader.picture("perfusion uncertainty")
    window = page.get_by_text(re.compile("^window"))
    was = window.inner_text()
    drag(reader, centre(in_view(stage)), (60, 0))
    expect(window).not_to_have_text(was)

    page.keyboard.press("e")
    points = page.get_by_role("button", name=re.compile("Epicardium, point"))
    expect(points.nth(5)).to_be_visible()
    drag(reader, centre(in_view(points.nth(3))), (18, 10))
    points.nth(5).focus()
    page.keyboard.press("ArrowRight")
    reader.picture("perfusion contour")
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Accept with edits").click()
    page.get_by_label("Words").fill("outer contour moved")
    page.get_by_role("dialog").get_by_role("button", name="Accept with edits").click()
    expect(page.get_by_test_id("told")).to_have_text("Recorded: accept with edits.")
    expect(page.locator(".head .tag")).to_have_text("edited")
    expect(page.locator(".readings")).to_contain_text("outer contour moved")
    assert len(job_of(review_ledger, page.url)["successors"]) == 1

    page.get_by_role("link", name="See the result that followed").click()
    reader.wait_for_image()
    expect(page.get_by_role("link", name="see the one before")).to_be_visible()
    reader.picture("perfusion corrected")


def test_another_member_is_chosen_and_accepted(reader: Reader, review_ledger: Path) -> None:
    reader.sign_in("anna").open_case("Arends")
    page = reader.page
    reader.wait_for_image()
    others = page.get_by_role("button", name=re.compile("^Choose this one"))
    other = others.and_(page.locator(":enabled")).first
    name = str(other.get_attribute("aria-label")).removeprefix("Choose this one: ")
    other.click()
    row = page.locator(".members li", has_text=name)
    expect(row).to_contain_text("your choice")
    reader.picture("perfusion other member")
    page.get_by_role("button", name="Accept with edits").click()
    page.get_by_role("dialog").get_by_role("button", name="Accept with edits").click()
    expect(page.get_by_test_id("told")).to_have_text("Recorded: accept with edits.")
    (successor,) = job_of(review_ledger, page.url)["successors"]
    with Ledger.open(str(review_ledger)) as opened:
        found = opened.find(UUID(successor))
    assert found is not None
    chosen = {s["chosen_member"] for s in (found.outcome or {})["uncertainty"]}  # type: ignore[attr-defined]
    assert name.lower().replace(" ", "_") in chosen


def test_a_second_reader_rejects_with_a_reason(
    reader: Reader, chromium: Browser, review_address: str
) -> None:
    reader.sign_in("anna").open_case("Bauer")
    page = reader.page
    reader.wait_for_image()
    page.keyboard.press("s")
    page.get_by_role("dialog").get_by_label("Words").fill("is slice 1 blurred?")
    page.get_by_role("dialog").get_by_role("button", name="Second opinion").click()
    expect(page.locator(".head .tag")).to_have_text("second opinion")

    second = Reader(chromium, review_address)
    second.sign_in("bert").open_case("Bauer")
    second.page.keyboard.press("r")
    dialog = second.page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Reason").select_option("motion")
    second.picture("reject")
    dialog.get_by_role("button", name="Reject").click()
    expect(second.page.get_by_test_id("told")).to_have_text("Recorded: reject.")
    expect(second.page.locator(".head .tag")).to_have_text(re.compile("rejected|disagreement"))
    second.close()
    assert second.complaints == []


def test_a_name_that_looks_like_markup_is_text(reader: Reader) -> None:
    reader.sign_in("vera")
    page = reader.page
    reader.choose("Review", "")
    reader.choose("Analysis", "perfusion")
    expect(page.locator(".c-patient", has_text=SCRIPT)).to_be_visible()
    reader.open_case("script")
    expect(page.get_by_test_id("patient")).to_contain_text(SCRIPT)
    assert page.locator("main script").count() == 0


def test_a_viewer_sees_and_does_not_judge(reader: Reader) -> None:
    reader.sign_in("vera").open_case("script")
    page = reader.page
    reader.wait_for_image()
    expect(page.get_by_role("button", name=re.compile("^Accept"))).to_have_count(0)
    expect(page.get_by_role("button", name="Contour")).to_have_count(0)
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)


def test_rest_and_stress_stand_side_by_side(reader: Reader) -> None:
    reader.sign_in("vera")
    page = reader.page
    reader.choose("Review", "")
    reader.choose("Analysis", "perfusion")
    page.get_by_role("searchbox").fill("Coen")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(r"^\s*2 results"))
    page.locator("[role=grid]").focus()
    page.keyboard.press("Enter")
    reader.wait_for_image()
    plots = page.get_by_test_id("bullseye")
    expect(plots).to_have_count(2)
    told = [text.lower() for text in plots.all_inner_texts()]
    assert {"rest", "stress"} == {
        state for state in ("rest", "stress") if any(state in text for text in told)
    }
    in_view(plots.first)
    reader.picture("perfusion pair")


def test_images_of_a_reconstruction_are_compared_at_one_zoom(reader: Reader) -> None:
    reader.sign_in("vera")
    page = reader.page
    reader.choose("Analysis", "reconstruction")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(r"^\s*1 result"))
    page.locator("[role=grid]").focus()
    page.keyboard.press("Enter")
    tiles = page.locator(".tiles figure")
    for name in ("Reconstruction", "Zero-filled", "Classical", "Uncertainty", "k-space coverage"):
        expect(tiles.filter(has_text=re.compile(name, re.IGNORECASE)).first).to_be_visible()
    expect(tiles.filter(has_text="Residual in k-space")).to_be_visible()
    images = [in_view(tiles.nth(number)) for number in range(3)]
    before = [image.screenshot() for image in images]
    page.get_by_role("button", name="Zoom in").click(click_count=3)
    for image, was in zip(images, before, strict=True):
        wait_until(lambda i=image, w=was: in_view(i).screenshot() != w, 15, lambda: "not zoomed")
    page.get_by_role("button", name="Reset view").click()
    page.keyboard.press("u")
    pressed = page.get_by_role("button", name="Uncertainty over images")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    reader.picture("reconstruction")


def test_a_boundary_is_dragged_and_saved(reader: Reader, review_ledger: Path) -> None:
    reader.sign_in("bert")
    page = reader.page
    reader.choose("Analysis", "phases")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(r"^\s*1 result"))
    page.locator("[role=grid]").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("ribbon")).to_be_visible()
    page.keyboard.press("e")
    edges = page.get_by_role("slider", name=re.compile("Boundary between"))
    first = edges.first
    was = float(first.get_attribute("aria-valuenow") or 0)
    drag(reader, centre(in_view(first)), (30, 0))
    moved = float(edges.first.get_attribute("aria-valuenow") or 0)
    assert moved > was + 5
    edges.first.focus()
    page.keyboard.press("ArrowLeft")
    expect(edges.first).to_have_attribute("aria-valuenow", str(int(moved) - 1))
    reader.picture("phases edited")
    page.get_by_role("button", name="Save correction").click()
    expect(page.get_by_test_id("told")).to_contain_text("saved as a draft")
    page.keyboard.press("a")
    page.get_by_role("dialog").get_by_role("button", name="Accept with edits").click()
    expect(page.get_by_test_id("told")).to_have_text("Recorded: accept with edits.")
    assert len(job_of(review_ledger, page.url)["successors"]) == 1
    page.get_by_role("link", name="See the result that followed").click()
    expect(page.get_by_test_id("ribbon")).to_be_visible()
    expect(page.get_by_role("region", name="Segments")).to_contain_text("1:")
    reader.picture("phases")


def test_a_view_is_saved_and_used_again(reader: Reader) -> None:
    reader.sign_in("vera")
    page = reader.page
    reader.choose("Analysis", "phases")
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name of the view").fill("operations")
    page.get_by_role("button", name="Save", exact=True).click()
    saved = page.get_by_role("combobox", name="Saved view", exact=True)
    expect(saved).to_have_value("operations")
    page.reload()
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    reader.choose("Saved view", "operations")
    analysis = page.get_by_role("combobox", name="Analysis", exact=True)
    expect(analysis).to_have_value("phases")


def test_the_list_follows_what_others_do(
    reader: Reader, chromium: Browser, review_address: str
) -> None:
    reader.sign_in("vera")
    page = reader.page
    expect(page.get_by_test_id("count")).to_contain_text("live")
    reader.choose("Review", "")
    row = page.locator(".rows [role=row]", has_text=SCRIPT)
    expect(row).to_contain_text("open")
    other = Reader(chromium, review_address)
    other.sign_in("anna").open_case("script")
    other.page.keyboard.press("r")
    other.page.get_by_role("dialog").get_by_role("combobox", name="Reason").select_option("input")
    other.page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    expect(other.page.get_by_test_id("told")).to_have_text("Recorded: reject.")
    other.close()
    expect(row).to_contain_text("rejected")
