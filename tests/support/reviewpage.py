"""A review page as it is served, and a browser that reads it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.demo import write_study
from pipeline.ledger.accounts import By, NewAccount, Role, add_account
from pipeline.ledger.ledger import Ledger
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.review.pages import STATIC as BUILT
from pipeline.review.passwords import digest_of
from tests.support.rawfiles import IDENTITY, Mrd
from tests.support.readings import phases_job
from tests.support.reconstruction import write_tiny_reconstruction
from tests.support.runs import Site
from tests.support.service import free_port, wait_until
from tests.support.videos import write_dicom_video

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
AXE = ROOT / "page" / "node_modules" / "axe-core" / "axe.min.js"

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
"""No window, no graphics card, and no call of the browser's own."""

PASSWORD = "correct horse battery"  # noqa: S105 (of accounts that last as long as a test)
WAITS_MS = 15_000
"""Time within which a page does what is asked of it [ms]."""

expect.set_options(timeout=WAITS_MS)

STARTS_S = 60.0
"""A page that is not served after this time will not be [s]."""

SCRIPT = "<script>alert(1)</script>"
"""A patient's name that would harm a page that takes it for markup."""

needs_browser = pytest.mark.skipif(
    not (CHROMIUM.exists() and (BUILT / "index.html").is_file()),
    reason="chromium is not installed, or the page not built (make page)",
)


def pictures() -> Path:
    """Return the folder for screenshots: VESALIUS_SCREENSHOTS, else results/screenshots."""
    folder = Path(os.environ.get("VESALIUS_SCREENSHOTS", ROOT / "results" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_named_study(folder: Path, seed: int, name: str, **changes: str) -> Path:
    """Write a generated study of a patient of this name, with other attributes where given."""
    phantom = perfusion_phantom(seed, PhantomSettings(n_slices=2, n_beats=45, rows=96, columns=96))
    for path in write_study(phantom.image, folder, name=f"review {seed}"):
        dataset = pydicom.dcmread(path)
        dataset.PatientName = name
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
    return folder


def write_pair(folder: Path, name: str) -> Path:
    """Write a study with a series at rest and one under stress."""
    for seed, state in ((24, "rest"), (25, "stress")):
        said = {"StudyInstanceUID": "2.25.2425", "SeriesDescription": f"perfusion {state}"}
        write_named_study(folder / state, seed, name, PatientID="PAIR", **said)
    return folder


def write_raw_data(folder: Path) -> Path:
    """Write raw data of a patient, every second line of them."""
    folder.mkdir()
    lines = tuple(sorted({*range(0, 32, 2), *range(11, 21)}))
    Mrd(lines=lines, sections=IDENTITY).write(folder / "scan.h5")
    return folder


def write_results(folder: Path, bundle: Path) -> Path:
    """Analyse studies, the first the least certain; record a video; return the ledger."""
    site = Site(bundle=bundle, ledger=folder / "ledger.db")
    networks = write_tiny_reconstruction(folder / "networks" / "reconstruction" / "bundle")
    patients = {22: "Dahl^Dora", 23: "Arends^Anna", 21: "Bauer^Bert", 28: SCRIPT}
    for seed, name in patients.items():
        _analyse(site, write_named_study(folder / f"study {seed}", seed, name), folder)
    _analyse(site, write_pair(folder / "pair", "Coen^Carla"), folder)
    raw = replace(site, bundle=networks.parents[1])
    _analyse(raw, write_raw_data(folder / "raw"), folder)
    (folder / "video").mkdir()
    write_dicom_video(folder / "video" / "a.dcm")
    with Ledger.open(str(site.ledger)) as ledger:
        phases_job(ledger, folder / "video", folder / "out")
    return site.ledger


def _analyse(site: Site, inputs: Path, folder: Path) -> None:
    """Run what fits."""
    jobs = site.run(inputs, output=folder / "out").jobs
    assert jobs
    assert [job.failure for job in jobs] == [None] * len(jobs)


def add_readers(ledger: Path) -> None:
    """Add an account of each role, and a second reviewer."""
    with Ledger.open(str(ledger)) as opened:
        for name, person, role in (
            ("ada", "Adams^Ada", Role.ADMINISTRATOR),
            ("anna", "Arends^Anna", Role.REVIEWER),
            ("bert", "Bauer^Bert", Role.REVIEWER),
            ("vera", "Vogel^Vera", Role.VIEWER),
        ):
            new = NewAccount(
                name=name, display_name=person, role=role, password=digest_of(PASSWORD)
            )
            add_account(opened, new, By(actor="test"))


@contextmanager
def page_served(ledger: Path, settings: str, folder: Path) -> Iterator[str]:
    """Serve the page by the command, with these settings; yield its address."""
    port = free_port()
    config = folder / "site.toml"
    config.write_text(settings)
    log = folder / "review.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "workers.cli", "review"),
                *("--port", str(port), "--config", config, "--ledger", ledger),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the page answers."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return "review page at" in log.read_text()

    wait_until(answers, STARTS_S, log.read_text)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Reader:
    """Somebody in front of a browser; complains of what the browser's console does.

    Parameters
    ----------
    browser
        The browser.
    address
        Where the page is served.
    size
        Width and height of the window [px].
    """

    def __init__(self, browser: Browser, address: str, size: tuple[int, int] = (1280, 900)) -> None:
        self.address, self.name = address, ""
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.context.set_default_timeout(WAITS_MS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type == "error" and "401" not in message.text
                else None
            ),
        )

    def sign_in(self, name: str) -> "Reader":
        """Sign in, and see the worklist."""
        self.page.goto(self.address)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Worklist")).to_be_visible()
        return self

    def rows(self) -> list[str]:
        """Return the text of the rows that are drawn."""
        return self.page.locator(".rows [role=row]").all_inner_texts()

    def open_case(self, text: str) -> None:
        """Search for a result and open it."""
        self.page.goto(f"{self.address}/#/worklist")
        self.choose("Review", "")
        # What was there before may be the one row, too, and Enter opens nothing while rows come.
        with self.page.expect_response(re.compile(r"[?&]text=")):
            self.page.get_by_role("searchbox").fill(text)
        rows = self.page.locator(".rows [role=row]")
        expect(rows).to_have_text([re.compile(re.escape(text), re.IGNORECASE)])
        self.page.locator("[role=grid]").focus()
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_test_id("patient")).to_be_visible()

    def choose(self, label: str, value: str) -> None:
        """Choose a filter's value."""
        self.page.get_by_role("combobox", name=label, exact=True).select_option(value)

    def wait_for_image(self) -> None:
        """Wait until the images are drawn."""
        self.page.locator("[data-testid=stage][data-drawn=true]").wait_for()

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        self.page.screenshot(path=pictures() / f"{name}.png")

    def faults(self) -> list[str]:
        """Return serious violations that axe-core finds on what is shown."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations'], runOnly:"
            " ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}))"
            ".violations.filter(v => ['serious', 'critical'].includes(v.impact))"
            ".map(v => v.id + ': '"
            " + v.nodes.map(n => n.target + ' ' + n.failureSummary).join(' | '))"
        )
        return [str(fault) for fault in found]

    def close(self) -> None:
        """Leave."""
        self.context.close()
