"""Series that look sound and are not, and sound ones that look odd.

A stack of nine axial slices with one thing changed, after the made-up series that the published
readers were measured on.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from pipeline.demo import mr_instance, stored_values, study_identity, write_instance
from pipeline.identity import derived_uid
from pipeline.imaging.volume import TimeSeries
from tests.support.geometry import affine_of, series_on

N_SLICES, ROWS, COLUMNS = 9, 7, 6
SPACING_MM = (4.0, 2.0, 0.5)
"""Slices, rows, columns: all different, so that no pair can be swapped unseen."""

AXIAL = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
ORIGIN_MM = (-20.0, 35.0, -12.5)

Change = Callable[[list[Dataset]], list[Dataset]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trap:
    """A series with one thing changed."""

    change: Change
    """Changes the instances, which come in the order of their slices."""

    named: tuple[int, ...] = ()
    """Slices whose instances a refusal must name."""

    reason: str = ""
    """What a refusal says."""


def stack(
    n_beats: int = 1, *, n_slices: int = N_SLICES, directions: np.ndarray = AXIAL
) -> TimeSeries:
    """Return the stack that is changed, another value in every voxel."""
    affine = affine_of(directions, SPACING_MM, ORIGIN_MM)
    return series_on(affine, (n_beats, n_slices, ROWS, COLUMNS))


def instances_of(image: TimeSeries, name: str = "trap") -> list[Dataset]:
    """Return the instances of a series, beat by beat and slice by slice."""
    study, stored = study_identity(image, name), stored_values(image.array)
    frames = [(beat, index) for beat in range(image.n_beats) for index in range(image.n_slices)]
    instances = [mr_instance(image, stored, study, frame) for frame in frames]
    for number, instance in enumerate(instances, start=1):
        instance.InstanceNumber = number
        if image.n_beats == 1:
            del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
    return instances


def write_all(instances: list[Dataset], folder: Path) -> Path:
    """Write instances in an order that says nothing, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(7).permutation(len(instances))
    for name, index in enumerate(order):
        write_instance(instances[index], folder / f"{name:04d}")
    return folder


def with_each(**values: Callable[[int], object]) -> Change:
    """Return a change that sets attributes of every instance from its index."""

    def change(instances: list[Dataset]) -> list[Dataset]:
        for index, instance in enumerate(instances):
            for keyword, value in values.items():
                setattr(instance, keyword, value(index))
        return instances

    return change


def with_one(index: int, **values: object) -> Change:
    """Return a change that sets attributes of one instance."""

    def change(instances: list[Dataset]) -> list[Dataset]:
        for keyword, value in values.items():
            setattr(instances[index], keyword, value)
        return instances

    return change


def without(*indices: int) -> Change:
    """Return a change that takes instances away."""
    return lambda instances: [i for n, i in enumerate(instances) if n not in indices]


def moved(index: int, **axes_mm: float) -> Change:
    """Return a change that moves one slice along an axis of the patient [mm]."""

    def change(instances: list[Dataset]) -> list[Dataset]:
        _move(instances[index], **axes_mm)
        return instances

    return change


def tilted(instances: list[Dataset]) -> list[Dataset]:
    """Shift each slice against the one below: a gantry tilt of 11 degrees."""
    for index, instance in enumerate(instances):
        _move(instance, y=0.2 * SPACING_MM[0] * index)
    return instances


def _move(instance: Dataset, *, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
    """Move an instance [mm]."""
    here = [float(v) for v in instance.ImagePositionPatient]
    instance.ImagePositionPatient = [here[0] + x, here[1] + y, here[2] + z]


def _doubled(instances: list[Dataset]) -> list[Dataset]:
    """Add a second image of slice 4, under a UID of its own."""
    again = deepcopy(instances[4])
    again.SOPInstanceUID = f"{instances[4].SOPInstanceUID}.1"[:64]
    again.InstanceNumber = 100
    return [*instances, again]


def _other_content(instances: list[Dataset]) -> list[Dataset]:
    """Add another image under the UID of slice 4."""
    again = deepcopy(instances[4])
    again.PixelData = bytes(len(again.PixelData))
    return [*instances, again]


def _other_matrix(instances: list[Dataset]) -> list[Dataset]:
    """Give slice 5 another matrix."""
    instances[5].Rows = ROWS - 1
    instances[5].PixelData = instances[5].PixelData[: 2 * (ROWS - 1) * COLUMNS]
    return instances


def _other_uid(index: int) -> str:
    """Return a UID of something else."""
    return derived_uid(study_identity(stack(), "other"), f"other {index}")


REFUSED = {
    "01 missing middle slice": Trap(change=without(4), named=(3, 5), reason="missing slice"),
    "05 doubled position": Trap(change=_doubled, named=(4,), reason="doubled position"),
    "05b one slice in another's place": Trap(
        change=moved(5, z=-SPACING_MM[0]), named=(4, 5), reason="doubled position"
    ),
    "06 uneven spacing": Trap(change=moved(4, z=1.0), named=(4,), reason="uneven spacing"),
    "07 axial and coronal": Trap(
        change=with_one(6, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
        named=(6,),
        reason="mixed orientations",
    ),
    "08 gantry tilt": Trap(change=tilted, named=(0, 8), reason="gantry tilt"),
    "09 another matrix": Trap(change=_other_matrix, named=(5,), reason="matrix 6x6 against 7x6"),
    "10 another pixel spacing": Trap(
        change=with_one(2, PixelSpacing=[2.0, 0.6]), named=(2,), reason="PixelSpacing (0028,0030)"
    ),
    "11 another patient": Trap(
        change=with_one(7, PatientID="ZZPHI-77", PatientName="Zzphi^Other"),
        named=(7,),
        reason="another patient",
    ),
    "12 two studies": Trap(
        change=with_one(1, StudyInstanceUID=_other_uid(1)), named=(1,), reason="two studies"
    ),
    "18 one UID, two contents": Trap(change=_other_content, named=(4,), reason="two contents"),
    "19 another frame of reference": Trap(
        change=with_one(3, FrameOfReferenceUID=_other_uid(2)),
        named=(3,),
        reason="another frame of reference",
    ),
}
"""The eleven series that must be refused, one of them in two forms."""

ACCEPTED: dict[str, Change] = {
    "00 control": lambda instances: instances,
    "03 instance numbers reversed": with_each(InstanceNumber=lambda i: 100 - i),
    "04 instance numbers all 1": with_each(InstanceNumber=lambda _: 1),
    "slice location misleads": with_each(SliceLocation=lambda i: -7.0 * i),
}
"""Changes that must not matter."""
