"""From a click to the archive: what is accepted on the page is there as a verified report."""

from pathlib import Path
from uuid import UUID

import pydicom
from playwright.sync_api import Browser, expect
from pydicom.dataset import Dataset

from pipeline.connections import Destination, Node
from tests.support.deliveries import Running
from tests.support.deliveries import Site as DeliverySite
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.readings import copied
from tests.support.reviewpage import Reader, add_readers, needs_browser, page_served
from tests.support.service import wait_until

pytestmark = [needs_browser, needs_orthanc]

SETTINGS = """
[models]
path = "{bundle}"
[nodes.pacs]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
[destinations.pacs]
by = "c-store"
node = "pacs"
always = true
verified_only = true
"""


def reports(orthanc: Orthanc, scratch: Path) -> list[Dataset]:
    """Return the structured reports of an archive."""
    found = []
    for instance in orthanc.rest("/instances?expand"):
        scratch.write_bytes(orthanc.file(instance["ID"]))
        dataset = pydicom.dcmread(scratch)
        if dataset.Modality == "SR":
            found.append(dataset)
    return found


def test_what_is_accepted_arrives_verified_and_nothing_else(
    perfusion_run: tuple[Path, UUID], tiny_bundle: Path, chromium: Browser, tmp_path: Path
) -> None:
    desk = copied(perfusion_run, tmp_path / "desk", tiny_bundle)
    ledger = tmp_path / "desk" / "ledger.db"
    add_readers(ledger)
    unread = next(desk.folder().glob("report*.dcm"))
    with Orthanc(tmp_path / "orthanc", aet="ARCHIVE") as orthanc:
        node = Node(ae_title="ARCHIVE", host="127.0.0.1", port=orthanc.port)
        site = DeliverySite(folder=tmp_path / "site", ledger=desk.ledger)
        site.nodes["pacs"] = node
        site.destinations["pacs"] = Destination(
            by="c-store", node="pacs", always=True, verified_only=True
        )
        settings = SETTINGS.format(bundle=tiny_bundle, port=orthanc.port)
        with page_served(ledger, settings, tmp_path) as address, Running(site):
            reader = Reader(chromium, address)
            reader.sign_in("anna").open_case("perfusion")
            reader.wait_for_image()
            reader.page.keyboard.press("a")
            reader.page.keyboard.press("Enter")
            expect(reader.page.get_by_test_id("told")).to_have_text("Recorded: accept.")
            reader.close()
            wait_until(lambda: site.states() == ["done"], 60, site.told)
        (report,) = reports(orthanc, tmp_path / "stored.dcm")
    desk.ledger.close()
    assert report.VerificationFlag == "VERIFIED"
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == "Arends^Anna"
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    first = pydicom.dcmread(unread).SOPInstanceUID
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first
