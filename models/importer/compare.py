"""MONAI's own inference and ours on one sample, side by side."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from numpy.typing import NDArray

from models.importer.declare import Declared
from pipeline.analyses.bundled.analysis import BundledResult
from pipeline.errors import BundleRejected
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume

Array = NDArray[np.float32]

LARGEST_DIFFERENCE = 1e-4
"""Largest difference of what goes into the network and comes out of it, as a part of the largest
value."""

LARGEST_SHARE = 1e-3
"""Largest share of voxels with another label, of those that either side labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Theirs:
    """What MONAI made of the sample."""

    prepared: Array
    """What the network was given. Shape ``(1, i, j, k)``."""

    given: Array
    """What it gave, windows joined. Shape ``(channels, i, j, k)``."""

    final: Array | None
    """Values on the sample's grid before they were made discrete, as ``given``; None where labels
    were brought back to it."""

    labels: Array
    """Labels. Shape ``(slice, row, column)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How far both lie apart."""

    prepared: float
    """Largest difference of the network's input, as a part of its largest value."""

    given: float
    """Largest difference of the network's output, as a part of its largest value."""

    final: float | None
    """Largest difference on the sample's grid before values are made discrete; None without any."""

    other_labels: float
    """Share of voxels with another label, of those that either side labels."""

    labelled: int
    """Voxels that either side labels."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)

    def check(self) -> None:
        """Refuse what lies too far apart.

        Raises
        ------
        BundleRejected
            With the figures.
        """
        if self.labelled == 0:
            raise BundleRejected(
                "nothing is labelled on the sample, which then proves little: take another sample"
            )
        values = (self.prepared, self.given, self.final or 0.0)
        if max(values) > LARGEST_DIFFERENCE or self.other_labels > LARGEST_SHARE:
            raise BundleRejected(
                f"not equal to MONAI's inference: input differs by {self.prepared:.3g}, output by "
                f"{self.given:.3g}, values on the sample's grid by {self.final or 0:.3g} (limit "
                f"{LARGEST_DIFFERENCE:g}), labels on {self.other_labels:.3g} of voxels (limit "
                f"{LARGEST_SHARE:g})"
            )


def monai_inference(
    volume: Volume, declared: Declared, network: Callable[[torch.Tensor], torch.Tensor]
) -> Theirs:
    """Return what MONAI makes of a volume with its own transforms and its own inferer.

    Parameters
    ----------
    volume
        The sample.
    declared
        Its transforms, in the plain form: names of MONAI's transforms, numbers and texts alone.
    network
        The original.

    Raises
    ------
    BundleRejected
        If MONAI cannot do it.
    """
    parser = ConfigParser(dict(declared.plain))
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(place) / "sample.nii"
        write_volume(volume, path)
        try:
            before = parser.get_parsed_content("preprocessing")
            after = parser.get_parsed_content("postprocessing")
            inferer = parser.get_parsed_content("inferer")
            item = before({declared.image_key: str(path)})
            prepared = item[declared.image_key]
            with torch.inference_mode():
                given = inferer(prepared[None], network)[0]
            item[declared.prediction_key] = MetaTensor(
                given.clone(), affine=prepared.affine, applied_operations=[]
            )
            given_values = _values(given)
            final = None
            for transform in after.transforms:
                name = type(transform).__name__
                if name.startswith("AsDiscrete") and _is_inverted(after, transform):
                    final = _values(item[declared.prediction_key])
                item = transform(item)
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as problem:
            raise BundleRejected(f"MONAI cannot run it on the sample: {problem}") from problem
        labels = _values(item[declared.prediction_key])
    return Theirs(prepared=_values(prepared), given=given_values, final=final, labels=labels[0].T)


def compare(ours: BundledResult, theirs: Theirs) -> Comparison:
    """Return how far both lie apart.

    Raises
    ------
    BundleRejected
        If the shapes differ.
    """
    found = np.rint(theirs.labels)
    either = (found > 0) | (ours.labels.array > 0)
    if found.shape != ours.labels.array.shape:
        raise BundleRejected(f"labels of {ours.labels.array.shape}, MONAI's of {found.shape}")
    others = int(np.count_nonzero(found != ours.labels.array))
    both = ours.final is not None and theirs.final is not None
    return Comparison(
        prepared=_difference("input", ours.prepared.array, theirs.prepared),
        given=_difference("output", ours.given, theirs.given),
        final=_difference("values", ours.final.array, theirs.final) if both else None,
        other_labels=others / max(int(np.count_nonzero(either)), 1),
        labelled=int(np.count_nonzero(either)),
    )


def _difference(what: str, ours: Array, theirs: Array) -> float:
    """Return the largest difference as a part of the largest value."""
    if ours.shape != theirs.shape:
        raise BundleRejected(f"the {what} is of {ours.shape}, MONAI's of {theirs.shape}")
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-6))


def _is_inverted(after: object, transform: object) -> bool:
    """Tell whether the inversion stands before a transform."""
    listed: list[object] = list(getattr(after, "transforms", ()))
    names = [type(t).__name__ for t in listed[: listed.index(transform)]]
    return any(name.startswith("Invert") for name in names)


def _values(tensor: torch.Tensor) -> Array:
    """Return a tensor's values."""
    plain = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
    return np.asarray(plain.detach().cpu().numpy(), dtype=np.float32).copy()


def told(comparison: Mapping[str, object]) -> str:
    """Return a comparison as a line of a model card."""
    return ", ".join(
        f"{key} {value:.3g}" for key, value in comparison.items() if isinstance(value, float)
    )
