"""Every page of the review: no serious violation of WCAG, at a laptop's and a tablet's width."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.support.reviewpage import Reader, needs_browser

pytestmark = needs_browser

SIZES = {"laptop": (1280, 860), "tablet": (820, 1180)}
SCHEMES = {"laptop": "light", "tablet": "dark"}


@pytest.fixture(params=sorted(SIZES))
def sized(request: pytest.FixtureRequest, chromium: Browser, review_address: str) -> Reader:
    """Return a reader at one of the widths."""
    reader = Reader(chromium, review_address, SIZES[request.param])
    reader.page.emulate_media(color_scheme=SCHEMES[request.param], reduced_motion="reduce")
    reader.name = request.param
    return reader


def test_no_page_has_a_serious_violation(sized: Reader) -> None:
    page = sized.page
    page.goto(sized.address)
    expect(page.get_by_label("Password")).to_be_visible()
    found = {"sign in": sized.faults()}
    sized.sign_in("ada")
    sized.choose("Review", "")
    for analysis in ("perfusion", "reconstruction", "phases"):
        page.goto(f"{sized.address}/#/worklist")
        sized.choose("Analysis", analysis)
        expect(page.locator(".rows [role=row]").first).to_contain_text(analysis.capitalize())
        found["worklist"] = sized.faults()
        page.locator("[role=grid]").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("patient")).to_be_visible()
        if analysis == "perfusion":
            sized.wait_for_image()
        found[analysis] = sized.faults()
        sized.picture(f"{analysis} {sized.name}")
        page.keyboard.press("e")
        found[f"{analysis} edited"] = sized.faults()
        page.keyboard.press("a")
        if page.get_by_role("dialog").count() > 0:
            found[f"{analysis} verdict"] = sized.faults()
            page.keyboard.press("Escape")
    for name in ("statistics", "accounts", "audit"):
        page.goto(f"{sized.address}/#/{name}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(name[:4], re.I))
        found[name] = sized.faults()
        sized.picture(f"{name} {sized.name}")
    page.goto(f"{sized.address}/#/worklist")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found["help"] = sized.faults()
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    sized.close()
    told = [f"{name}: {fault}" for name, faults in found.items() for fault in faults]
    assert not told, "\n".join(told)
    assert overflow <= 0
    assert sized.complaints == []
