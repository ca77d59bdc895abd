"""Which version of a model does the studies of a batch: the one that was live when it was made."""

from collections.abc import Callable
from pathlib import Path

from pipeline.admit import admit
from pipeline.infer.bundle import load_bundle
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.versions import Versions
from pipeline.registry.store import Registry
from tests.support.batches import Desk, rows_of
from tests.support.tally import write_volumes
from tests.support.versions import version_of


def digests(desk: Desk, name: str) -> set[object]:
    """Return the digests of the bundles that did the studies of a batch."""
    return {row["bundle_digest"] for row in rows_of(desk.tables(name) / "results.parquet")}


def test_a_batch_is_done_by_the_version_that_was_live_when_it_was_made(
    make_desk: Callable[..., Desk], tally_models: Path, tmp_path: Path
) -> None:
    desk = make_desk()
    paths = write_volumes(tmp_path / "in", 2)
    installed = tally_models / "tally" / "bundle"
    words = (*paths, "--analysis", "tally", "--processes", "1")
    desk.call("plan", "before", *words)
    version_of(installed, tmp_path / "1.1.0", "1.1.0")
    with Ledger.open(desk.place) as ledger:
        registry = Registry(root=desk.folder / "registry")
        version = admit(tmp_path / "1.1.0", registry, ledger, "anna@ward")
        Versions(ledger).enable(version.digest, "anna@ward")
        Versions(ledger).promote(version.digest, "anna@ward", {})
    desk.call("resume", "before")
    desk.call("run", "after", *words)
    desk.call("run", "named", *words, "--models", tally_models)
    assert digests(desk, "before") == {load_bundle(installed).digest}
    assert digests(desk, "after") == {version.digest}
    assert digests(desk, "named") == {load_bundle(installed).digest}


def test_a_batch_whose_bundle_is_gone_says_so(
    make_desk: Callable[..., Desk], tally_models: Path, tmp_path: Path
) -> None:
    desk = make_desk()
    desk.call("plan", "day", *write_volumes(tmp_path / "in", 1), "--analysis", "tally")
    version_of(tally_models / "tally" / "bundle", tmp_path / "other" / "tally" / "bundle", "2.0.0")
    told = desk.call("resume", "day", "--models", tmp_path / "other", status=2)
    assert "no bundle of tally with the digest" in told
