"""What a site may set for reconstruction, and what the model's bundle fixes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from pipeline.errors import BundleRejected, UnusableCall

METHODS = ("operator", "varnet", "zero-filled")
"""The neural operator; the convolutional network; no network at all."""

FLOOR = 1e-3
"""Root sum of squares at which a sensitivity is down to 0.7; signal is about one."""

START_ETA, START_ITERATIONS = 0.005, 10
"""Where the cascades begin: so much regularised, after so many steps of conjugate gradients."""

ITERATIONS = 5
"""Steps of conjugate gradients that one soft data consistency takes."""

TINY = 1e-12
"""Keeps a quotient of powers finite where there is no signal, which is about one."""

MOST_DRAWS = 32
"""More perturbed reconstructions than this tell nothing new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionSettings:
    """What a site may set. Every one changes the configuration digest, and so the job."""

    method: str = "operator"
    """``operator``, ``varnet`` or ``zero-filled``."""

    hard_data_consistency: bool = False
    """Whether the measured samples are put back as a last step: the image then agrees with them to
    the last bit, noise included."""

    uncertainty_draws: int = 4
    """Reconstructions of perturbed data that the uncertainty map comes from, each as long as the
    image itself; 0 makes no map."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If a value is not possible.
        """
        if self.method not in METHODS:
            raise UnusableCall(f"method is {self.method!r}, possible are {', '.join(METHODS)}")
        if self.uncertainty_draws == 1 or not 0 <= self.uncertainty_draws <= MOST_DRAWS:
            raise UnusableCall(
                f"uncertainty_draws is {self.uncertainty_draws}, possible are 0 and 2 to "
                f"{MOST_DRAWS}"
            )

    def as_dict(self) -> dict[str, object]:
        """Return the settings for the configuration digest."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """What the networks were trained with, from the bundle's metadata."""

    image_radius: float
    """Radius of kernels on images, as a share of the field of view."""

    coarse_radius: float
    """Radius of kernels on coil images at low resolution, as a share of the field of view."""

    kspace_radius: float
    """Radius of kernels on k-space, in samples of a square matrix."""

    coarse_side: int
    """Longest side of the grid on which coil sensitivities are estimated."""

    @classmethod
    def from_bundle(cls, values: Mapping[str, object]) -> "ModelSettings":
        """Read the settings from a bundle's own.

        Raises
        ------
        BundleRejected
            If one is missing or no positive number.
        """
        found: dict[str, float] = {}
        for name in (f.name for f in fields(cls)):
            value = values.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
                raise BundleRejected(
                    f"metadata.json: vesalius.{name} is {value!r}, not a positive number"
                )
            found[name] = float(value)
        return cls(coarse_side=int(found.pop("coarse_side")), **found)
