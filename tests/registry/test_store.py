"""The registry holds bundles as they were imported, whole or not at all."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import BundleRejected, UnusableCall
from pipeline.infer.bundle import load_bundle
from pipeline.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(root=tmp_path / "registry")


def test_a_bundle_is_copied_under_its_digest(registry: Registry, tiny_bundle: Path) -> None:
    added = registry.add(tiny_bundle)
    assert added.folder == registry.place(added.digest)
    assert added.digest == load_bundle(tiny_bundle).digest
    assert all(n.path.is_relative_to(added.folder) for n in added.networks)
    assert registry.has(added.digest)
    assert registry.load(added.digest) == added
    assert registry.add(tiny_bundle) == added, "one that is here stays as it is"
    assert [path.name for path in registry.root.iterdir()] == [added.digest]


def test_many_may_add_the_same_at_once(registry: Registry, tiny_bundle: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(registry.add, [tiny_bundle] * 4))
    assert len({bundle.digest for bundle in added}) == 1
    assert [path.name for path in registry.root.iterdir()] == [added[0].digest]


def test_what_is_no_bundle_leaves_nothing(registry: Registry, tiny_bundle: Path) -> None:
    broken = shutil.copytree(tiny_bundle, registry.root.parent / "broken")
    (broken / "LICENSE").write_text("another")
    with pytest.raises(BundleRejected, match="altered"):
        registry.add(broken)
    assert not registry.root.exists()


def test_a_bundle_that_is_altered_in_the_registry_is_not_used(
    registry: Registry, tiny_bundle: Path
) -> None:
    added = registry.add(tiny_bundle)
    (added.folder / "LICENSE").write_text("another")
    with pytest.raises(BundleRejected, match="altered"):
        registry.load(added.digest)
    with pytest.raises(BundleRejected, match="no bundle of digest bbbbbbbbbbbb"):
        registry.load("b" * 64)
    assert not registry.has("../" + added.digest)


def test_a_bundle_under_another_digest_is_not_used(registry: Registry, tiny_bundle: Path) -> None:
    added = registry.add(tiny_bundle)
    added.folder.rename(registry.place("c" * 64))
    with pytest.raises(BundleRejected, match="its digest is"):
        registry.load("c" * 64)


def test_a_registry_that_cannot_be_written_says_so(registry: Registry, tiny_bundle: Path) -> None:
    registry.root.write_text("in the way")
    with pytest.raises(UnusableCall, match="cannot be written"):
        registry.add(tiny_bundle)
