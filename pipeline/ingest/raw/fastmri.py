"""fastMRI files: ``kspace`` with all slices of a volume, and the mask of a test file.

The readout is the first of the last two axes, twice oversampled, and becomes the rows, as in
fastMRI's own images; phase is encoded along columns. The file has no place in the patient.

References
----------
.. [ZBO2018] J. Zbontar et al., fastMRI, arXiv:1811.08839, and the code beside it
   (github.com/facebookresearch/fastMRI): kspace (slices, coils, rows, columns).
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import (
    check_finite,
    check_lines,
    check_mask,
    check_size,
    mask_of,
    shared,
    silent_coils,
)
from pipeline.ingest.raw.hdf5 import dataset, n_values, opened
from pipeline.ingest.raw.heap import text_of
from pipeline.ingest.raw.mrdheader import Encoding, MrdHeader, parse_header
from pipeline.ingest.raw.mrdidentity import dicom_header, uid_text
from pipeline.ingest.raw.part import RawContent, RawPart, RawShape
from pipeline.mr.fourier import without_oversampling
from pipeline.mr.kspace import KSpace, Readout, uncounted_times


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a file says of its samples."""

    shape: tuple[int, int, int, int]
    """Slices, coils, rows and columns of the samples."""

    header: MrdHeader | None
    """The MRD header that most files carry."""

    @property
    def encoding(self) -> Encoding | None:
        """The encoding space."""
        return self.header.encodings[0] if self.header else None

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of the image: along x and y of the header's reconstructed space."""
        rows, columns = self.shape[2:]
        if self.encoding is None:
            return rows, columns
        along_x, along_y, _ = self.encoding.recon.matrix
        return min(rows, along_x), min(columns, along_y)

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Distance between rows and columns of the image [mm]."""
        fov = self.encoding.encoded.fov_mm if self.encoding else None
        return (fov[0] / self.shape[2], fov[1] / self.shape[3]) if fov else None


def is_fastmri(file: h5py.File, name: str) -> bool:
    """Tell whether an HDF5 file has what a fastMRI file has."""
    return dataset(file, "kspace", name) is not None


def fastmri_parts(path: Path, name: str, limits: Limits) -> tuple[RawPart, ...]:
    """Return what a file holds; no samples are read.

    Raises
    ------
    UnreadableFile, InconsistentSeries
        As ``read_fastmri``, as far as headers show it.
    """
    with opened(path, name) as file:
        layout = _layout(file, name, limits)
    n_slices, n_coils, _, _ = layout.shape
    rows, columns = layout.image_shape
    shape = RawShape(n_frames=1, n_slices=n_slices, n_coils=n_coils, rows=rows, columns=columns)
    uid = uid_text(layout.header.texts.get("studyInstanceUID")) if layout.header else None
    return (RawPart(name="", shape=shape, study_instance_uid=uid),)


def read_fastmri(path: Path, name: str, limits: Limits) -> RawContent:
    """Read a file.

    Raises
    ------
    UnreadableFile
        If it is truncated, larger than allowed, or holds samples that are no complex numbers.
    InconsistentSeries
        If its mask does not fit, keeps nothing, or calls lines measured that are zero.
    """
    with opened(path, name) as file:
        layout = _layout(file, name, limits)
        samples = np.asarray(file["kspace"][()], dtype=np.complex64)
        stated = dataset(file, "mask", name)
        lines = None if stated is None else np.asarray(stated[()]).astype(np.bool_).ravel()
    array = samples.reshape(1, *layout.shape)
    mask = _mask(array, lines, layout, name)
    rows, columns = layout.image_shape
    array = without_oversampling(array * mask[:, :, None], rows, axis=3)
    n_slices = layout.shape[0]
    header, said = dicom_header(layout.header.texts) if layout.header else (None, ())
    return RawContent(
        kspace=KSpace(
            array=np.ascontiguousarray(array),
            mask=shared(np.broadcast_to(mask[:, :, :1], (*mask.shape[:2], rows, mask.shape[3]))),
            image_shape=(rows, columns),
            readout=Readout.ROWS,
            affine=None,
            pixel_spacing_mm=layout.spacing_mm,
            times_s=uncounted_times(1, n_slices),
            times_are_estimated=True,
        ),
        header=header,
        notes=(
            "fastMRI files state no position: the image has no place in the patient",
            *said,
            *silent_coils(array),
        ),
    )


def _layout(file: h5py.File, name: str, limits: Limits) -> Layout:
    """Return what a file says of its samples, checked."""
    kspace = dataset(file, "kspace", name)
    if kspace is None:
        raise UnreadableFile(f"{name}: fastMRI's kspace is missing")
    if kspace.dtype.kind != "c" or kspace.ndim not in (3, 4):
        raise UnreadableFile(
            f"{name}: kspace is {kspace.dtype} of {kspace.ndim} axes, fastMRI's is complex of "
            "3 (slices, rows, columns) or 4 (slices, coils, rows, columns)"
        )
    check_size(n_values(kspace), name, limits)
    sizes = tuple(int(n) for n in kspace.shape)
    shape = (sizes[0], *((1,) if len(sizes) == 3 else ()), *sizes[1:])
    xml = dataset(file, "ismrmrd_header", name)
    header = None
    if xml is not None:
        header = parse_header(text_of(xml, name, limits), name, limits)
    return Layout(shape=(shape[0], shape[1], shape[2], shape[3]), header=header)


def _mask(
    array: NDArray[np.complex64], lines: NDArray[np.bool_] | None, layout: Layout, name: str
) -> NDArray[np.bool_]:
    """Return what was measured: whole columns, all of the readout. Shape ``(1, slices, ...)``."""
    columns = layout.shape[3]
    if lines is None:
        found = mask_of(array, name).any(axis=2, keepdims=True)
        return np.broadcast_to(found, (*found.shape[:2], layout.shape[2], columns))
    check_finite(array, name)
    if lines.size != columns:
        raise InconsistentSeries(f"{name}: a mask of {lines.size} columns, kspace has {columns}")
    # Columns beyond the sampled band are padding, whatever the mask says of them.
    padding = ~np.any(array != 0, axis=(0, 1, 2, 3))
    band = np.flatnonzero(~padding)
    within = np.zeros(columns, dtype=np.bool_)
    if band.size:
        within[band[0] : band[-1] + 1] = True
    mask = np.broadcast_to(lines & within, (1, layout.shape[0], layout.shape[2], columns))
    check_mask(mask, name)
    check_lines(array, mask, name)
    return mask
