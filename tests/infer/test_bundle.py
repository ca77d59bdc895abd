"""A bundle is loaded only if every byte of it is as listed."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BundleRejected
from pipeline.identity import digest_file
from pipeline.infer.bundle import find_bundle, load_bundle, write_file_list
from pipeline.infer.filelist import FILE_LIST


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_sound_bundle_says_what_it_is(sound_bundle: Path) -> None:
    bundle = load_bundle(sound_bundle)
    assert (bundle.name, bundle.version) == ("Tiny perfusion pool", "0.0.1")
    assert [m.name for m in bundle.members] == ["member_1", "member_2", "member_3"]
    assert [m.name for m in bundle.networks][-1] == "locator"
    assert all(digest_file(m.path) == m.sha256 for m in bundle.networks)
    assert bundle.settings["grid_size"] == 96


def test_settings_cannot_be_changed(sound_bundle: Path) -> None:
    with pytest.raises(TypeError):
        load_bundle(sound_bundle).settings["grid_size"] = 1  # type: ignore[index]


def test_members_are_ordered_by_number_not_by_letters(folder: Path) -> None:
    for number in (10, 2):
        (folder / "models/member_1.onnx").replace(folder / f"models/member_{number}.onnx")
        (folder / "models/member_1.onnx").write_bytes(
            (folder / "models/member_3.onnx").read_bytes()
        )
    write_file_list(folder)
    names = [m.name for m in load_bundle(folder).networks]
    assert names == ["member_1", "member_2", "member_3", "member_10", "locator"]


def test_a_network_that_is_not_there_is_named(sound_bundle: Path) -> None:
    with pytest.raises(BundleRejected, match=r"no models/other\.onnx"):
        load_bundle(sound_bundle).network("other")


def test_the_digest_follows_the_content_and_not_the_place(folder: Path, sound_bundle: Path) -> None:
    assert load_bundle(folder).digest == load_bundle(sound_bundle).digest
    (folder / "docs/README.md").write_text("another card")
    digest = write_file_list(folder)
    assert load_bundle(folder).digest == digest != load_bundle(sound_bundle).digest


def test_the_digest_tells_swapped_files_apart(folder: Path, sound_bundle: Path) -> None:
    first, second = folder / "models/member_1.onnx", folder / "models/member_2.onnx"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert write_file_list(folder) != load_bundle(sound_bundle).digest


@pytest.mark.parametrize(
    "path", ["models/member_2.onnx", "configs/metadata.json", "LICENSE", "docs/README.md"]
)
def test_a_single_flipped_bit_is_refused_by_name(folder: Path, path: str) -> None:
    content = bytearray((folder / path).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / path).write_bytes(content)
    with pytest.raises(BundleRejected, match=f"{path}: altered"):
        load_bundle(folder)


@pytest.mark.parametrize("path", ["models/member_2.onnx", "docs/README.md"])
def test_a_missing_file_is_refused_by_name(folder: Path, path: str) -> None:
    (folder / path).unlink()
    with pytest.raises(BundleRejected, match=f"{path}: listed in .* missing"):
        load_bundle(folder)


def test_an_extra_file_is_refused_by_name(folder: Path) -> None:
    (folder / "models/member_4.onnx").write_bytes(b"")
    with pytest.raises(BundleRejected, match=r"member_4\.onnx: not listed"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["model.pt", "model.ts", "weights.pkl", "weights.npz", "run.py"])
def test_a_file_that_could_hold_code_is_refused_even_if_listed(folder: Path, name: str) -> None:
    (folder / "models" / name).write_bytes(pickle.dumps({"weights": 1}))
    sha256 = digest_file(folder / "models" / name)
    change_json(folder / FILE_LIST, lambda d: d["files"].update({f"models/{name}": sha256}))
    with pytest.raises(BundleRejected, match=rf"{name}: a bundle holds no"):
        load_bundle(folder)
    with pytest.raises(BundleRejected, match=rf"{name}: a bundle holds no"):
        write_file_list(folder)


@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_refused(folder: Path, tmp_path: Path, inside: bool) -> None:
    target = folder / "models/member_1.onnx" if inside else tmp_path / "elsewhere.onnx"
    (tmp_path / "elsewhere.onnx").write_bytes((folder / "models/member_1.onnx").read_bytes())
    (folder / "models/member_2.onnx").unlink()
    (folder / "models/member_2.onnx").symlink_to(target)
    with pytest.raises(BundleRejected, match=r"member_2\.onnx: a link"):
        load_bundle(folder)


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "docs").replace(tmp_path / "docs")
    (folder / "docs").symlink_to(tmp_path / "docs")
    with pytest.raises(BundleRejected, match="docs: a link"):
        load_bundle(folder)


def test_a_pipe_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "docs/pipe.md")
    with pytest.raises(BundleRejected, match="not a plain file"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "path",
    ["../outside.json", "/etc/hostname", "docs/../../x.md", "docs//README.md", "a\\b.md", "C:x.md"],
)
def test_a_listed_path_that_leaves_the_bundle_is_refused(folder: Path, path: str) -> None:
    change_json(folder / FILE_LIST, lambda d: d["files"].update({path: "0" * 64}))
    with pytest.raises(BundleRejected, match="no path inside the bundle"):
        load_bundle(folder)


def test_a_line_without_a_digest_is_refused(folder: Path) -> None:
    change_json(folder / FILE_LIST, lambda d: d["files"].update({"LICENSE": "md5"}))
    with pytest.raises(BundleRejected, match="LICENSE has no SHA-256"):
        load_bundle(folder)


@pytest.mark.parametrize("layout", [None, 0, 2, "1"])
def test_an_unknown_layout_is_refused(folder: Path, layout: object) -> None:
    change_json(folder / FILE_LIST, lambda d: d.update(layout=layout))
    with pytest.raises(BundleRejected, match="layout"):
        load_bundle(folder)


@pytest.mark.parametrize("path", ["configs/metadata.json", "docs/README.md", "LICENSE"])
def test_a_bundle_without_a_required_file_is_refused(folder: Path, path: str) -> None:
    (folder / path).unlink()
    write_file_list(folder)
    with pytest.raises(BundleRejected, match=f"{path} is not listed"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_list_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / FILE_LIST).write_bytes(content)
    with pytest.raises(BundleRejected, match=r"files\.json: no"):
        load_bundle(folder)


@pytest.mark.parametrize("key", ["name", "version", "authors"])
def test_metadata_without_a_name_is_refused(folder: Path, key: str) -> None:
    change_json(folder / "configs/metadata.json", lambda d: d.pop(key))
    write_file_list(folder)
    with pytest.raises(BundleRejected, match=f"{key} is missing"):
        load_bundle(folder)


def test_a_bundle_without_a_network_is_refused(folder: Path) -> None:
    for path in (folder / "models").iterdir():
        path.unlink()
    write_file_list(folder)
    with pytest.raises(BundleRejected, match="no network"):
        load_bundle(folder)


def test_a_network_outside_models_is_refused(folder: Path) -> None:
    (folder / "models/member_1.onnx").replace(folder / "docs/member_1.onnx")
    write_file_list(folder)
    with pytest.raises(BundleRejected, match="networks lie in models"):
        load_bundle(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRejected, match="no such folder"):
        load_bundle(tmp_path / "none")


def test_a_bundle_is_found_as_itself_and_as_its_analysis(folder: Path, tmp_path: Path) -> None:
    assert find_bundle("perfusion", [folder]) == folder
    (tmp_path / "models/perfusion").mkdir(parents=True)
    place = folder.rename(tmp_path / "models/perfusion/bundle")
    assert find_bundle("perfusion", [tmp_path / "none", tmp_path / "models"]) == place


def test_a_given_folder_without_a_bundle_is_an_error_and_no_other_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BundleRejected, match=f"no bundle for perfusion; searched: {tmp_path}"):
        find_bundle("perfusion", [tmp_path])


def test_the_installed_models_are_found_without_being_imported(
    folder: Path, tmp_path: Path
) -> None:
    package = tmp_path / "site/models"
    (package / "perfusion").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    folder.rename(package / "perfusion/bundle")
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "from pipeline.infer.bundle import find_bundle; print(find_bundle('perfusion'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == package / "perfusion/bundle"


def test_loading_a_bundle_imports_neither_torch_nor_onnx(sound_bundle: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.infer.bundle import load_bundle\n"
        f"load_bundle(Path({str(sound_bundle)!r}))\n"
        "print(sorted({'torch', 'onnx', 'monai'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
