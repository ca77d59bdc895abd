"""From MONAI's configuration to a declaration: the same transforms, by name and argument.

Beside the declaration it makes a plain configuration of the same transforms, without references to
anything else and without expressions, which MONAI's own parser then builds for the comparison.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.importer.resolve import Resolver
from pipeline.analyses.bundled.declaration import POSTPROCESSING, PREPROCESSING
from pipeline.errors import BundleRejected

ANYTHING = object()
"""An argument whose value changes nothing here."""

NOT_NEEDED = frozenset(
    {"SaveImage", "DeleteItems", "SelectItems", "ToDevice", "ToTensor", "EnsureType", "CastToType"}
)
"""Transforms that change neither values nor places, once types are known to be float32."""

READING = frozenset({"LoadImage", "EnsureChannelFirst", "AddChannel"})
"""Transforms that make an array of a file: here the pipeline's own readers do."""

INFERERS = frozenset({"SlidingWindowInferer", "SlidingWindowInfererAdapt", "SimpleInferer"})
"""Inferers that can be declared."""

_EVERY = {"keys": ANYTHING, "allow_missing_keys": ANYTHING, "lazy": False, "_disabled_": ANYTHING}
_LABELS = [["L", "R"], ["P", "A"], ["I", "S"]]
_KNOWN: Mapping[str, Mapping[str, object]] = {
    "LoadImage": {"reader": ANYTHING, "image_only": ANYTHING, "ensure_channel_first": ANYTHING},
    "EnsureChannelFirst": {"channel_dim": None, "strict_check": ANYTHING},
    "AddChannel": {},
    "EnsureType": {"data_type": ANYTHING, "device": ANYTHING, "track_meta": True},
    "Orientation": {"labels": (None, _LABELS)},
    "Spacing": {
        "align_corners": ANYTHING,
        "dtype": (None, "float32", "float64"),
        "diagonal": False,
        "scale_extent": False,
        "recompute_affine": False,
        "min_pixdim": None,
        "max_pixdim": None,
        "ensure_same_shape": ANYTHING,
    },
    "ScaleIntensityRange": {"dtype": (None, "float32")},
    "ScaleIntensityRangePercentiles": {
        "relative": False,
        "channel_wise": ANYTHING,
        "dtype": (None, "float32"),
    },
    "ScaleIntensity": {"factor": None, "channel_wise": ANYTHING, "dtype": (None, "float32")},
    "NormalizeIntensity": {"channel_wise": ANYTHING, "dtype": (None, "float32")},
    "CropForeground": {
        "source_key": ANYTHING,
        "channel_indices": None,
        "mode": "constant",
        "start_coord_key": ANYTHING,
        "end_coord_key": ANYTHING,
    },
    "SpatialPad": {"mode": "constant"},
    "DivisiblePad": {"mode": "constant"},
    "Activations": {"other": None},
    "Invert": {
        "transform": ANYTHING,
        "orig_keys": ANYTHING,
        "meta_keys": ANYTHING,
        "orig_meta_keys": ANYTHING,
        "meta_key_postfix": ANYTHING,
        "to_tensor": ANYTHING,
        "device": ANYTHING,
        "post_func": None,
    },
    "AsDiscrete": {"to_onehot": None, "rounding": None},
    "KeepLargestConnectedComponent": {"is_onehot": (None, False)},
    "FillHoles": {},
}
_OF_INFERER: Mapping[str, object] = {
    "sw_batch_size": ANYTHING,
    "sw_device": ANYTHING,
    "device": ANYTHING,
    "progress": ANYTHING,
    "cache_roi_weight_map": ANYTHING,
    "cpu_thresh": ANYTHING,
    "buffer_steps": None,
    "buffer_dim": ANYTHING,
    "with_coord": False,
    "roi_weight_map": None,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What a configuration declares, in both forms."""

    declaration: Mapping[str, object]
    """As our bundles hold it, not checked yet."""

    plain: Mapping[str, object]
    """As MONAI's parser builds it: ``preprocessing``, ``postprocessing``, ``inferer``."""

    image_key: str
    """Key of the image in MONAI's dictionaries."""

    prediction_key: str
    """Key of what the network gives."""


def declare(resolver: Resolver, at: str) -> Declared:
    """Return what a configuration declares.

    Raises
    ------
    BundleRejected
        If a transform, an inferer or an argument is not supported: the message names it.
    """
    before = _transforms(resolver, "preprocessing", at)
    after = _transforms(resolver, "postprocessing", at)
    image_key = _key(before, resolver, f"{at}: preprocessing")
    prediction_key = _key(after, resolver, f"{at}: postprocessing")
    steps, plain = _declared(before, image_key, PREPROCESSING, (resolver, f"{at}: preprocessing"))
    ends, plain_ends = _declared(
        after, image_key, POSTPROCESSING, (resolver, f"{at}: postprocessing")
    )
    windows, plain_inferer = _inferer(resolver, at)
    return Declared(
        declaration={"preprocessing": steps, "inferer": windows, "postprocessing": ends},
        plain={
            "preprocessing": {"_target_": "Compose", "transforms": plain},
            "postprocessing": {"_target_": "Compose", "transforms": plain_ends},
            "inferer": plain_inferer,
        },
        image_key=image_key,
        prediction_key=prediction_key,
    )


def _transforms(resolver: Resolver, name: str, at: str) -> list[Mapping[str, object]]:
    """Return the transforms of a Compose that are not disabled, their arguments as they stand."""
    compose = resolver.component(resolver.raw(name))
    if _bare(compose["_target_"], at) != "Compose":
        raise BundleRejected(f"{at}: {name} is no Compose of transforms")
    listed = compose.get("transforms")
    while isinstance(listed, str) and listed.startswith("@"):
        listed = resolver.raw(listed[1:])
    if not isinstance(listed, list):
        raise BundleRejected(f"{at}: {name}::transforms is no list")
    found = [resolver.component(item) for item in listed]
    return [t for t in found if not resolver.value(t.get("_disabled_", False))]


def _declared(
    transforms: Sequence[Mapping[str, object]],
    image_key: str,
    known: Mapping[str, object],
    reading: tuple[Resolver, str],
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return transforms as steps, and as MONAI builds them."""
    resolver, at = reading
    steps: list[dict[str, object]] = []
    plain: list[dict[str, object]] = []
    for transform in transforms:
        name = _short(transform)
        if "." in str(transform["_target_"]).removeprefix("monai."):
            _check_home(transform, at)
        if name in NOT_NEEDED:
            _check_type(transform, name, (resolver, at))
            continue
        if name not in READING and name not in known:
            raise BundleRejected(
                f"{at}: the transform {transform['_target_']!r} is not supported; supported are "
                f"{', '.join((*sorted(READING), *known))}"
            )
        arguments = _arguments(transform, name, (resolver, at))
        step = _step(name, arguments, f"{at}: {name}", image_key)
        if name not in READING:
            steps.append(step)
        plain.append(_plain(name, arguments, image_key))
    return steps, plain


def _arguments(
    transform: Mapping[str, object], name: str, reading: tuple[Resolver, str]
) -> dict[str, object]:
    """Return the arguments of a transform; of those for each key, the one key's."""
    resolver, at = reading
    found: dict[str, object] = {}
    for key, value in transform.items():
        if key in ("_target_", "_desc_", "_mode_", "_requires_", "_disabled_"):
            continue
        # What changes nothing is not resolved: it may refer to a device or a folder.
        if {**_EVERY, **_KNOWN[name]}.get(key) is ANYTHING and key not in _KEPT:
            continue
        try:
            found[key] = resolver.value(value)
        except BundleRejected as problem:
            raise BundleRejected(f"{at}: {name}.{key}: {problem}") from problem
        _check_plain(found[key], f"{at}: {name}.{key}")
        if key in _FOR_EACH_KEY and isinstance(found[key], list) and len(found[key]) == 1:
            found[key] = found[key][0]
    return found


_KEPT = ("keys", "align_corners", "channel_wise", "ensure_channel_first", "orig_keys", "source_key")
_FOR_EACH_KEY = (
    *("mode", "padding_mode", "align_corners", "dtype", "scale_extent", "nearest_interp"),
    *("softmax", "sigmoid", "argmax", "threshold", "to_onehot", "subtrahend", "divisor"),
)


def _step(name: str, arguments: Mapping[str, object], at: str, image_key: str) -> dict[str, object]:
    """Return a transform as a step."""
    ignored = {**_EVERY, **_KNOWN[name]}
    step: dict[str, object] = {"name": name}
    for key, value in arguments.items():
        if key not in ignored:
            step[key] = value
        elif not _is_possible(value, ignored[key]):
            raise BundleRejected(f"{at}: the argument {key!r} is {value!r}, which is not supported")
    if step.pop("as_closest_canonical", False):
        step["axcodes"] = "RAS"
    if "constant_values" in step:
        step["value"] = step.pop("constant_values")
    if arguments.get("source_key", image_key) != image_key:
        raise BundleRejected(f"{at}: source_key is not {image_key!r}")
    if arguments.get("margin") and "allow_smaller" not in arguments:
        raise BundleRejected(
            f"{at}: margin without allow_smaller, whose default changed in MONAI 1.5: state it"
        )
    return step


def _plain(name: str, arguments: Mapping[str, object], image_key: str) -> dict[str, object]:
    """Return a transform as MONAI's parser builds it."""
    plain = {"_target_": f"monai.transforms.{name}d", **arguments}
    if name == "AddChannel":
        plain |= {"_target_": "monai.transforms.EnsureChannelFirstd", "channel_dim": "no_channel"}
    if name == "Orientation":
        plain["labels"] = _LABELS
    if name == "LoadImage":
        plain["image_only"] = True
    if name == "Invert":
        plain |= {"transform": "@preprocessing", "orig_keys": image_key}
    return plain


def _inferer(resolver: Resolver, at: str) -> tuple[dict[str, object], dict[str, object]]:
    """Return how the network goes over a volume, and as MONAI builds it."""
    component = resolver.component(resolver.raw("inferer"))
    name = _bare(component["_target_"], at)
    if name not in INFERERS:
        raise BundleRejected(
            f"{at}: the inferer {component['_target_']!r} is not supported; supported are "
            f"{', '.join(sorted(INFERERS))}"
        )
    if name == "SimpleInferer":
        return {"roi_size": 0, "overlap": 0.0}, {"_target_": "monai.inferers.SimpleInferer"}
    windows: dict[str, object] = {}
    for key, value in component.items():
        if key == "_target_" or _OF_INFERER.get(key) is ANYTHING:
            continue
        resolved = resolver.value(value)
        _check_plain(resolved, f"{at}: inferer.{key}")
        if key not in _OF_INFERER:
            windows[key] = resolved
        elif not _is_possible(resolved, _OF_INFERER[key]):
            raise BundleRejected(
                f"{at}: the argument {key!r} of the inferer is {resolved!r}, which is not supported"
            )
    plain = {"_target_": "monai.inferers.SlidingWindowInferer", "sw_batch_size": 1, **windows}
    return windows, plain


def _check_type(transform: Mapping[str, object], name: str, reading: tuple[Resolver, str]) -> None:
    """Refuse a transform that makes other numbers than float32."""
    resolver, at = reading
    if name in ("EnsureType", "CastToType") and "dtype" in transform:
        dtype = resolver.value(transform["dtype"])
        dtype = dtype[0] if isinstance(dtype, list) and dtype else dtype
        if dtype not in (None, "float32", "torch.float32", "np.float32"):
            raise BundleRejected(f"{at}: {name} with dtype {dtype!r} is not supported")


def _check_home(transform: Mapping[str, object], at: str) -> None:
    """Refuse a transform that has the name of one of MONAI's and is none."""
    if not str(transform["_target_"]).startswith("monai.transforms."):
        raise BundleRejected(f"{at}: the transform {transform['_target_']!r} is none of MONAI's")


def _key(transforms: Sequence[Mapping[str, object]], resolver: Resolver, at: str) -> str:
    """Return the one key that transforms are for."""
    found = set()
    for transform in transforms:
        if _short(transform) in NOT_NEEDED:
            continue
        keys = resolver.value(transform.get("keys"))
        found |= {str(k) for k in keys} if isinstance(keys, list) else {str(keys)}
    if len(found) != 1:
        told = ", ".join(sorted(found)) or "none"
        raise BundleRejected(f"{at}: needed is one key for all transforms, not {told}")
    return found.pop()


def _short(transform: Mapping[str, object]) -> str:
    """Return the name of a transform without what marks its dictionary form."""
    target = str(transform["_target_"]).rsplit(".", 1)[-1]
    for ending in ("Dict", "d", "D"):
        if target.endswith(ending):
            return target.removesuffix(ending)
    return target


def _bare(target: object, at: str) -> str:
    """Return the name of one of MONAI's components without its module."""
    text = str(target)
    if "." in text and not text.startswith("monai."):
        raise BundleRejected(f"{at}: {text!r} is none of MONAI's")
    return text.rsplit(".", 1)[-1]


def _check_plain(value: object, at: str) -> None:
    """Refuse what MONAI's parser would not take as it stands: it executes, follows and builds.

    A text that an expression gives may itself begin with a ``$``.
    """
    if isinstance(value, list):
        for item in value:
            _check_plain(item, at)
    elif isinstance(value, str):
        if any(mark in value for mark in "$@%"):
            raise BundleRejected(f"{at}: {value!r} is no plain text")
    elif not (value is None or isinstance(value, bool | int | float)):
        raise BundleRejected(f"{at}: {type(value).__name__} is no number and no text")


def _is_possible(value: object, asked: object) -> bool:
    """Tell whether an argument that is not declared has a value that changes nothing."""
    if asked is ANYTHING:
        return True
    return value in asked if isinstance(asked, tuple) else value == asked
