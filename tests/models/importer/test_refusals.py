"""What is refused at import, by name, and without any of it being executed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from models.importer.__main__ import import_bundle, main
from models.importer.resolve import Resolver
from models.importer.source import read_source
from pipeline.errors import BundleRejected, PipelineError, UnusableCall
from pipeline.imaging.nifti import write_volume
from tests.support.zoo import MANIFEST, UNET, config, network, sample_volume, write_zoo_bundle
from workers import importcli

# Torch and MONAI warn of what they themselves use; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore")

Change = Callable[[Path, dict[str, Any], Path], None]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    write_volume(sample_volume(), tmp_path / "sample.nii")
    return tmp_path


def brought(source: Path, place: Path, *allowed: str) -> dict[str, object]:
    return import_bundle(
        source, place / "manifest.toml", place / "sample.nii", place / "models", list(allowed)
    )


class _Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def _script(folder: Path, _document: dict[str, Any], mark: Path) -> None:
    (folder / "scripts").mkdir()
    (folder / "scripts" / "__init__.py").write_text(f"open({str(mark)!r}, 'w')\n")


def _expression(folder: Path, document: dict[str, Any], mark: Path) -> None:
    document["network_def"]["channels"] = f"$__import__('os').system('touch {mark}') or [4, 8, 16]"


def _hidden(folder: Path, document: dict[str, Any], mark: Path) -> None:
    document["unused"] = f"$[c for c in ().__class__.__bases__][0] and open({str(mark)!r}, 'w')"


def _imported(folder: Path, document: dict[str, Any], mark: Path) -> None:
    document["imports"].append("$from scripts.own import transform")


def _target(folder: Path, document: dict[str, Any], mark: Path) -> None:
    document["preprocessing"]["transforms"].append(
        {"_target_": "subprocess.run", "args": ["touch", str(mark)]}
    )


def _library_target(folder: Path, document: dict[str, Any], mark: Path) -> None:
    document["network_def"] = {"_target_": "torch.load", "f": str(folder / "models" / "model.pt")}


def _nested(folder: Path, document: dict[str, Any], mark: Path) -> None:
    loading = {"_target_": "numpy.load", "file": str(mark), "mmap_mode": "w+"}
    document["preprocessing"]["transforms"][3]["align_corners"] = loading


def _text_that_is_code(folder: Path, document: dict[str, Any], mark: Path) -> None:
    code = f"$torch.save(1, {str(mark)!r})"
    document["preprocessing"]["transforms"][3]["align_corners"] = f"${code!r}"


def _text_of_the_inferer(folder: Path, document: dict[str, Any], mark: Path) -> None:
    code = f"$torch.save(1, {str(mark)!r})"
    document["inferer"]["with_coord"] = f"${code!r}"


def _key_that_is_code(folder: Path, document: dict[str, Any], mark: Path) -> None:
    code = f"$torch.save(1, {str(mark)!r})"
    for transform in document["preprocessing"]["transforms"]:
        transform["keys"] = f"${code!r}"


def _pickle(folder: Path, document: dict[str, Any], mark: Path) -> None:
    state = dict(network(UNET).state_dict())
    torch.save({**state, "extra": _Payload(mark)}, folder / "models" / "model.pt")


def _bare_pickle(folder: Path, document: dict[str, Any], mark: Path) -> None:
    (folder / "models" / "model.pt").write_bytes(pickle.dumps(_Payload(mark), protocol=2))


def _yaml(folder: Path, document: dict[str, Any], mark: Path) -> None:
    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(
        f"imports: !!python/object/apply:os.system ['touch {mark}']\n"
    )


class _Writes(torch.nn.Module):
    """Writes a file when it is run."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.mark)
        return x


class _Restores(torch.nn.Module):
    """Does something when it is loaded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return (3, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]


def _script_that_writes(folder: Path, document: dict[str, Any], mark: Path) -> None:
    (folder / "models" / "model.pt").unlink()
    torch.jit.script(_Writes(str(mark))).save(folder / "models" / "model.ts")


def _script_that_restores(folder: Path, document: dict[str, Any], mark: Path) -> None:
    (folder / "models" / "model.pt").unlink()
    torch.jit.script(_Restores()).save(folder / "models" / "model.ts")


def _no_script(folder: Path, document: dict[str, Any], mark: Path) -> None:
    (folder / "models" / "model.pt").unlink()
    (folder / "models" / "model.ts").write_bytes(b"def forward(): save()")


MALICIOUS: dict[str, tuple[Change, str]] = {
    "a folder of scripts": (_script, r"custom Python \(scripts/__init__.py\).*allows the digest"),
    "an expression that imports": (_expression, r"custom Python \(network_def::channels"),
    "an expression that nothing needs": (_hidden, r"custom Python \(unused"),
    "a module of its own": (_imported, r"custom Python \(imports::2"),
    "a foreign component": (_target, "_target_ 'subprocess.run'"),
    "a function of a library": (_library_target, "'torch.load' is none of MONAI's networks"),
    "a component within an argument": (_nested, "align_corners: dict is no number and no text"),
    "a text that is code": (_text_that_is_code, "Spacing.align_corners: .* is no plain text"),
    "a text for the inferer": (_text_of_the_inferer, "inferer.with_coord: .* is no plain text"),
    "a key that is code": (_key_that_is_code, "LoadImage.keys: .* is no plain text"),
    "an object among the weights": (_pickle, "holds more than weights"),
    "a pickle for weights": (_bare_pickle, "holds more than weights"),
    "a script that writes": (_script_that_writes, "its code names save, which no network needs"),
    "a script that restores": (_script_that_restores, "its code names __"),
    "no script": (_no_script, r"model\.ts: no TorchScript"),
    "YAML that makes objects": (_yaml, "not YAML that holds data alone"),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_code_of_a_bundle_is_refused_and_never_executed(name: str, place: Path) -> None:
    change, reason = MALICIOUS[name]
    document, mark = config(), place / "executed"
    folder = write_zoo_bundle(place / "zoo", config())
    change(folder, document, mark)
    if (folder / "configs" / "inference.json").exists():
        (folder / "configs" / "inference.json").write_text(json.dumps(document))
    with pytest.raises(BundleRejected, match=reason):
        brought(folder, place)
    assert not mark.exists()
    assert not (place / "models").exists()


def _own_network(folder: Path) -> None:
    (folder / "scripts").mkdir()
    (folder / "scripts" / "__init__.py").write_text("")
    (folder / "scripts" / "own.py").write_text(
        "from monai.networks.nets import UNet\n\n\nclass OwnNet(UNet):\n    pass\n"
    )
    document = config(network_def={**UNET, "_target_": "scripts.own.OwnNet"})
    (folder / "configs" / "inference.json").write_text(json.dumps(document))


def test_a_site_allows_a_network_of_custom_python_by_its_digest(place: Path) -> None:
    folder = write_zoo_bundle(place / "zoo", config())
    _own_network(folder)
    with pytest.raises(BundleRejected, match=r"allows the digest ([0-9a-f]{64})") as refused:
        brought(folder, place)
    digest = str(refused.value).split()[-1]
    with pytest.raises(BundleRejected, match="custom Python"):
        brought(folder, place, digest.replace(digest[0], "x"))
    made = brought(folder, place, digest)
    assert made["analysis"] == "organs"
    (folder / "scripts" / "own.py").write_text("raise SystemExit\n")
    with pytest.raises(BundleRejected, match="custom Python"):
        read_source(folder, [digest])


def transforms(document: dict[str, Any], side: str = "pre") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document[f"{side}processing"]["transforms"]
    return found


def _without(side: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        kept = [t for t in transforms(document, side) if t["_target_"] != name]
        document[f"{side}processing"]["transforms"] = kept

    return change


def _added(side: str, **transform: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        key = "image" if side == "pre" else "pred"
        transforms(document, side).append({"keys": key, **transform})

    return change


def _set(side: str, number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: transforms(document, side)[number].update(values)


UNSUPPORTED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a transform": (
        _added("pre", _target_="GaussianSmoothd", sigma=2.0),
        "the transform 'GaussianSmoothd' is not supported",
    ),
    "a function": (
        _added("pre", _target_="Lambdad", func="$lambda x: x * 2"),
        "the transform 'Lambdad' is not supported",
    ),
    "a transform after the network": (
        _added("post", _target_="VoteEnsembled"),
        "the transform 'VoteEnsembled' is not supported",
    ),
    "an argument": (
        _set("pre", 3, diagonal=True),
        "Spacing: the argument 'diagonal' is True, which is not supported",
    ),
    "an argument that is not known": (
        _set("pre", 4, gamma=2.0),
        "the argument 'gamma' of ScaleIntensityRange is not supported",
    ),
    "a mode": (_set("pre", 3, mode=3), "the argument 'mode' of Spacing is 3"),
    "another type": (
        _set("pre", 5, dtype="$torch.float16"),
        "EnsureType with dtype 'float16' is not supported",
    ),
    "no directions": (_without("pre", "Orientationd"), "preprocessing has no Orientation"),
    "no way back": (_without("post", "Invertd"), "postprocessing has 0 Invert, needed is one"),
    "no labels": (_without("post", "AsDiscreted"), "postprocessing has 0 AsDiscrete"),
    "an expression": (
        _set("pre", 4, a_min="$os.environ"),
        r"ScaleIntensityRange.a_min: .*the expression \$os.environ is not one of those",
    ),
    "a margin of unknown edges": (
        _added("pre", _target_="CropForegroundd", source_key="image", margin=4),
        "margin without allow_smaller",
    ),
    "a selection": (
        _added("pre", _target_="CropForegroundd", source_key="image", select_fn="$lambda x: x > 1"),
        "CropForeground.select_fn: .*is not one of those that are read",
    ),
    "two channels": (
        lambda document: document["network_def"].update(in_channels=2),
        "2 input channels; an analysis takes one series",
    ),
    "another inferer": (
        lambda document: document["inferer"].update(_target_="SliceInferer"),
        "the inferer 'SliceInferer' is not supported",
    ),
    "an argument of the inferer": (
        lambda document: document["inferer"].update(padding_mode="reflect"),
        "the argument 'padding_mode' of SlidingWindowInferer is 'reflect'",
    ),
    "another network": (
        lambda document: document["network_def"].update(channels=[4, 8, 8]),
        "not the weights of the network_def",
    ),
    "a network of no name": (
        lambda document: document["network_def"].update(_target_="NoSuchNet"),
        "the network 'NoSuchNet' is none of MONAI's networks",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_refused_by_name(name: str, place: Path) -> None:
    change, reason = UNSUPPORTED[name]
    document = config()
    folder = write_zoo_bundle(place / "zoo", document)
    change(document)
    (folder / "configs" / "inference.json").write_text(json.dumps(document))
    with pytest.raises(PipelineError, match=reason):
        brought(folder, place)


def test_a_refusal_ends_the_command_with_its_reason(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_zoo_bundle(place / "zoo", config(), "none")
    given = ["--manifest", place / "manifest.toml", "--sample", place / "sample.nii"]
    status = main([str(v) for v in (folder, *given, "--output", place / "models")])
    assert status == 2
    assert "none of models/model.pt, models/model.ts, models/model.onnx" in capsys.readouterr().err


def test_a_link_in_a_bundle_is_refused(place: Path) -> None:
    folder = write_zoo_bundle(place / "zoo", config())
    (folder / "docs" / "more.md").symlink_to(place / "manifest.toml")
    with pytest.raises(BundleRejected, match="a link; a bundle holds its own files"):
        brought(folder, place)


def test_a_configuration_in_yaml_is_read_as_one_in_json(place: Path) -> None:
    one = write_zoo_bundle(place / "one", config())
    other = write_zoo_bundle(place / "other", config())
    (other / "configs" / "inference.json").unlink()
    (other / "configs" / "inference.yaml").write_text(yaml.safe_dump(config()))
    assert read_source(one).config == read_source(other).config


def test_without_the_extra_the_command_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importcli, "TRAIN", ("torch", "no_such_package"))
    with pytest.raises(UnusableCall, match=r"needs no_such_package: pip install 'vesalius.train.'"):
        importcli.imported(place, place, place, place, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$@a::b * 2 - 1", 5),
        ("$[@a::b, -1, 2.5]", [3, -1, 2.5]),
        ("@a::list", [1, 3]),
        ("%a#b", 3),
        ("$@a::list[1] if @a::b > 2 and not False else 0", 3),
        ("$len(@a::list) // 2", 1),
        ("$max(1, @a::b)", 3),
        ("$torch.float32", "float32"),
        ("plain text", "plain text"),
    ],
)
def test_references_and_simple_expressions_are_read(text: str, value: object) -> None:
    resolver = Resolver({"a": {"b": 3, "list": [1, "@a::b"]}}, "config")
    assert resolver.value(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "$print(1)",
        "$(lambda: 1)()",
        "$[x for x in @a]",
        "$'a' * 10",
        "$9 ** 9",
        "$10 * 1000000000",
        "$torch.load",
        "$@a.b",
        "$@a.__class__",
        "$f'{1}'",
        "$1 +",
        "$len(1)",
        "$1 / 0",
        "@loop",
        "@missing",
        "$@a['c']",
    ],
)
def test_other_expressions_are_refused(text: str) -> None:
    resolver = Resolver({"a": {"b": 3}, "loop": "@loop"}, "config")
    with pytest.raises(BundleRejected, match="config: "):
        resolver.value(text)
