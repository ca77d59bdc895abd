"""What is done with a volume, as a bundle declares it: JSON, read once into frozen records.

Each step has the name of MONAI's transform and its arguments. A step or an argument that is not
known is refused by its name: a model whose input is prepared otherwise than it was trained with
gives wrong results without any error.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pipeline.errors import BundleRejected

Value = object
Check = Callable[[object], Value]
"""Returns an argument as it is used; raises ValueError, which says what is needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One transform."""

    name: str
    """MONAI's name of it, without the ``d`` of its dictionary form."""

    options: Mapping[str, Value]
    """All its arguments: those that are not stated have MONAI's defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """How a network goes over a volume."""

    roi_size: tuple[int, int, int]
    """Size of a window [voxel]; 0 or less is the volume's."""

    overlap: tuple[float, float, float]
    """Part of a window that the next one covers again."""

    mode: str
    """``constant`` or ``gaussian``: how much each voxel of a window counts."""

    sigma_scale: float
    """Standard deviation of the Gaussian as a part of the window."""

    padding_mode: str
    """What lies around a volume that is smaller than a window: ``constant``, or ``replicate`` for
    its border's values."""

    cval: float
    """Constant value around a volume that is smaller than a window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """What is done with a volume."""

    preprocessing: tuple[Step, ...]
    """Up to the network, in order."""

    windows: Windows
    """How the network goes over it."""

    postprocessing: tuple[Step, ...]
    """After the network, in order."""


def read_declaration(document: object, at: str) -> Declaration:
    """Return the declaration that a JSON value holds.

    Parameters
    ----------
    document
        The JSON value.
    at
        Names it in messages.

    Raises
    ------
    BundleRejected
        If a transform, an argument, or their order is not supported: the message names it.
    """
    table = _table(document, at)
    preprocessing = _steps(table.get("preprocessing"), PREPROCESSING, f"{at}: preprocessing")
    postprocessing = _steps(table.get("postprocessing"), POSTPROCESSING, f"{at}: postprocessing")
    _check_order(preprocessing, postprocessing, at)
    options = _options("SlidingWindowInferer", _WINDOWS, table.get("inferer"), f"{at}: inferer")
    windows = Windows(**options)  # type: ignore[arg-type]
    return Declaration(preprocessing=preprocessing, windows=windows, postprocessing=postprocessing)


def _check_order(before: Sequence[Step], after: Sequence[Step], at: str) -> None:
    """Check that directions are stated before they matter, and that labels come back."""
    names = [step.name for step in before]
    if "Orientation" not in names:
        raise BundleRejected(
            f"{at}: preprocessing has no Orientation: the network's directions are not stated"
        )
    for name in names[: names.index("Orientation")]:
        if name in _OF_AXES:
            raise BundleRejected(f"{at}: preprocessing has {name} before Orientation")
    _check_ends(after, at)


def _check_ends(after: Sequence[Step], at: str) -> None:
    """Check that labels are made once, and come back to the grid of their source."""
    names = [step.name for step in after]
    for name in ("Invert", "AsDiscrete"):
        if names.count(name) != 1:
            raise BundleRejected(
                f"{at}: postprocessing has {names.count(name)} {name}, needed is one: a result is "
                "labels on the grid of its source"
            )
    discrete = names.index("AsDiscrete")
    for name in names[:discrete]:
        if name in _OF_LABELS:
            raise BundleRejected(f"{at}: postprocessing has {name} before AsDiscrete")
    if "Activations" in names[discrete:]:
        raise BundleRejected(f"{at}: postprocessing has Activations after AsDiscrete")


def _steps(value: object, known: Mapping[str, "Arguments"], at: str) -> tuple[Step, ...]:
    """Return the steps of a list."""
    if not isinstance(value, list):
        raise BundleRejected(f"{at} is no list")
    steps = []
    for item in value:
        table = dict(_table(item, at))
        name = table.pop("name", None)
        if not isinstance(name, str) or name not in known:
            raise BundleRejected(
                f"{at}: the transform {name!r} is not supported; supported are {', '.join(known)}"
            )
        steps.append(Step(name=name, options=_options(name, known[name], table, at)))
    return tuple(steps)


def _options(name: str, known: "Arguments", value: object, at: str) -> Mapping[str, Value]:
    """Return all arguments of a step."""
    table = _table(value, at)
    for key in table:
        if key not in known:
            raise BundleRejected(f"{at}: the argument {key!r} of {name} is not supported")
    options = {}
    for key, (check, default) in known.items():
        try:
            options[key] = check(table[key] if key in table else _required(default))
        except ValueError as problem:
            said = f"is {table[key]!r}" if key in table else "is missing"
            raise BundleRejected(
                f"{at}: the argument {key!r} of {name} {said}, supported is {problem}"
            ) from None
    return options


def _table(value: object, at: str) -> Mapping[str, object]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BundleRejected(f"{at} is no object")
    return cast("dict[str, object]", value)


class _Needed:
    """Stands for the default of an argument that has none."""


def _required(default: object) -> object:
    """Return a default; one that is needed is none."""
    if isinstance(default, _Needed):
        raise ValueError("a value")  # noqa: TRY004 - it is missing, not of another type
    return default


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - a value that is not supported
    return value


def _exactly(*possible: object) -> Check:
    """Return a check for one of a few values."""

    def check(value: object) -> object:
        if not any(value is p or (value == p and type(value) is type(p)) for p in possible):
            raise ValueError(" or ".join(repr(p) for p in possible))
        return value

    return check


def _three(check: Callable[[object], object]) -> Check:
    """Return a check for three values, or one that holds for all three axes."""

    def check_all(value: object) -> object:
        values = list(value) if isinstance(value, list | tuple) else [value] * 3
        if len(values) != 3:
            raise ValueError("one value, or one for each of three axes")
        return tuple(check(v) for v in values)

    return check_all


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError("a whole number")
    return value


def _label_list(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(type(v) is int and v > 0 for v in values):
        raise ValueError("labels above 0")
    return tuple(cast("Sequence[int]", values))


def _share(value: object) -> float:
    number = _number(value)
    if not 0 <= number < 1:
        raise ValueError("a number from 0 to less than 1")
    return number


def _axcodes(value: object) -> str:
    pairs = [{"R", "L"}, {"A", "P"}, {"S", "I"}]
    if not isinstance(value, str) or len(value) != 3:
        raise ValueError("three of the letters R L A P S I")
    if any(sum(letter in pair for letter in value) != 1 for pair in pairs):
        raise ValueError("three of the letters R L A P S I, one for each direction")
    return value


def _connectivity(value: object) -> int:
    if value is None:
        return 3
    if type(value) is not int or value not in (1, 2, 3):
        raise ValueError("1, 2 or 3")
    return value


def _positive(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a whole number above 0")
    return value


Arguments = Mapping[str, tuple[Check, object]]
"""Arguments that are known, each with its check and MONAI's default."""

_NEEDED = _Needed()
_OF_LABELS = ("KeepLargestConnectedComponent", "FillHoles")
_OF_AXES = ("Spacing", "CropForeground", "SpatialPad", "DivisiblePad")

PREPROCESSING: Mapping[str, Arguments] = {
    "Orientation": {"axcodes": (_axcodes, _NEEDED)},
    "Spacing": {
        "pixdim": (_three(_number), _NEEDED),
        "mode": (_exactly("bilinear", "nearest"), "bilinear"),
        "padding_mode": (_exactly("border", "zeros"), "border"),
    },
    "ScaleIntensityRange": {
        "a_min": (_number, _NEEDED),
        "a_max": (_number, _NEEDED),
        "b_min": (_number_or_none, None),
        "b_max": (_number_or_none, None),
        "clip": (_flag, False),
    },
    "ScaleIntensityRangePercentiles": {
        "lower": (_number, _NEEDED),
        "upper": (_number, _NEEDED),
        "b_min": (_number_or_none, _NEEDED),
        "b_max": (_number_or_none, _NEEDED),
        "clip": (_flag, False),
    },
    "ScaleIntensity": {"minv": (_number, 0.0), "maxv": (_number, 1.0)},
    "NormalizeIntensity": {
        "subtrahend": (_number_or_none, None),
        "divisor": (_number_or_none, None),
        "nonzero": (_flag, False),
    },
    "CropForeground": {
        "margin": (_three(_whole), 0),
        "allow_smaller": (_flag, False),
        "k_divisible": (_three(_whole), 1),
    },
    "SpatialPad": {
        "spatial_size": (_three(_whole), _NEEDED),
        "method": (_exactly("symmetric", "end"), "symmetric"),
        "value": (_number, 0.0),
    },
    "DivisiblePad": {
        "k": (_three(_whole), _NEEDED),
        "method": (_exactly("symmetric", "end"), "symmetric"),
        "value": (_number, 0.0),
    },
}
"""Transforms before the network."""

_WINDOWS: Arguments = {
    "roi_size": (_three(_whole), _NEEDED),
    "overlap": (_three(_share), 0.25),
    "mode": (_exactly("constant", "gaussian"), "constant"),
    "sigma_scale": (_number, 0.125),
    "padding_mode": (_exactly("constant", "replicate"), "constant"),
    "cval": (_number, 0.0),
}

POSTPROCESSING: Mapping[str, Arguments] = {
    "Activations": {"softmax": (_flag, False), "sigmoid": (_flag, False)},
    "Invert": {"nearest_interp": (_flag, True)},
    "AsDiscrete": {"argmax": (_flag, False), "threshold": (_number_or_none, None)},
    "KeepLargestConnectedComponent": {
        "applied_labels": (_label_list, None),
        "independent": (_flag, True),
        "connectivity": (_connectivity, None),
        "num_components": (_positive, 1),
    },
    "FillHoles": {
        "applied_labels": (_label_list, None),
        "connectivity": (_connectivity, None),
    },
}
"""Transforms after the network."""
