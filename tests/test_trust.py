"""Whose signature is taken, where no command asks: workers, and a list that is exchanged."""

import shutil
from pathlib import Path

import pytest

from pipeline.config import Configuration, ModelSettings
from pipeline.errors import BundleRejected, BundleUntrusted
from pipeline.infer.bundle import load_bundle, write_file_list
from pipeline.infer.filelist import FILE_LIST, SIGNATURE
from pipeline.infer.terms import Compute
from pipeline.perform import open_analyses
from pipeline.signing.secretkey import SecretKey, new_secret_key
from pipeline.trust import check_signature, load_trusted, put_signature
from pipeline.warm import OpenAnalyses
from tests.support.tally import write_tally_bundle


def sign(folder: Path, key: SecretKey) -> None:
    content = (folder / FILE_LIST).read_bytes()
    put_signature(folder, key.sign(content, "comment").text("x").encode())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_tally_bundle(tmp_path / "models")


@pytest.fixture
def key() -> SecretKey:
    return new_secret_key()


def demanding(models: Path, key: SecretKey) -> ModelSettings:
    return ModelSettings(path=models, trusted_keys=(key.public.text(),), require_signature=True)


def test_a_worker_opens_by_its_own_settings_and_not_by_those_of_a_job(
    models: Path, key: SecretKey
) -> None:
    folder = models / "tally" / "bundle"
    own = Configuration(models=demanding(models, key))
    digest = load_bundle(folder).digest
    of_the_job = {"models": {"require_signature": False}}
    opened = OpenAnalyses(own, Compute(threads=1), memory_mib=16)
    with pytest.raises(BundleUntrusted, match="not signed"):
        opened.find("tally", digest, of_the_job)
    sign(folder, key)
    assert opened.find("tally", digest, of_the_job).bundle.digest == digest
    (analysis,) = open_analyses(["tally"], own)
    assert analysis.bundle.digest == digest


def test_a_list_that_is_exchanged_after_it_was_read_is_found(models: Path, key: SecretKey) -> None:
    folder = models / "tally" / "bundle"
    bundle = load_bundle(folder)
    (folder / "LICENSE").write_text("another")
    write_file_list(folder)
    sign(folder, key)
    with pytest.raises(BundleUntrusted, match="altered while it was read"):
        check_signature(bundle, demanding(models, key))
    assert check_signature(load_bundle(folder), demanding(models, key)) == key.key_id


def test_two_keys_of_one_id_are_told_apart(models: Path, key: SecretKey) -> None:
    folder = models / "tally" / "bundle"
    twin = SecretKey(key_id=key.key_id, seed=new_secret_key().seed)
    sign(folder, twin)
    with pytest.raises(BundleUntrusted, match="does not hold"):
        load_trusted(folder, demanding(models, key))
    both = ModelSettings(
        trusted_keys=(key.public.text(), twin.public.text()), require_signature=True
    )
    assert check_signature(load_bundle(folder), both) == key.key_id


@pytest.mark.parametrize("kind", ["link", "folder", "long"])
def test_what_is_no_plain_signature_is_refused(
    models: Path, key: SecretKey, tmp_path: Path, kind: str
) -> None:
    folder = models / "tally" / "bundle"
    sign(folder, key)
    place = folder / SIGNATURE
    kept = shutil.copy(place, tmp_path / "kept")
    bundle = load_bundle(folder)
    place.unlink()
    if kind == "link":
        place.symlink_to(kept)
        with pytest.raises(BundleRejected, match="a link; a bundle holds its own files"):
            load_bundle(folder)
        return
    if kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(Path(kept).read_bytes() + b"x" * 5000)
    with pytest.raises(BundleUntrusted, match=r"files\.json\.minisig: "):
        check_signature(bundle, demanding(models, key))
