"""Raw data of a known object, written in every format by the formats' own packages where there are.

The object is asymmetric on every axis, so that nothing can be flipped or moved unseen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import ismrmrd
import nibabel
import numpy as np
from numpy.typing import NDArray

from pipeline.mr.fourier import fft2c

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def coil_images(
    n_frames: int = 1,
    n_slices: int = 1,
    n_coils: int = 4,
    shape: tuple[int, int] = (32, 24),
) -> NDArray[np.complex64]:
    """Return images of an ellipse with a bright corner, seen by smooth coils.

    Returns
    -------
        Shape ``(frames, slices, coils, rows, columns)``.
    """
    y, x = (np.linspace(-1, 1, n) for n in shape)
    y, x = y[:, None], x[None, :]
    images = np.zeros((n_frames, n_slices, n_coils, *shape), dtype=np.complex64)
    for frame in range(n_frames):
        for index in range(n_slices):
            body = ((y / 0.8) ** 2 + (x / 0.6) ** 2 < 1).astype(np.float64)
            body += (1 + frame) * ((y + 0.4) ** 2 + (x - 0.2 + 0.1 * index) ** 2 < 0.05)
            for coil in range(n_coils):
                angle = 2 * np.pi * coil / n_coils
                away = (y - np.sin(angle)) ** 2 + (x - np.cos(angle)) ** 2
                images[frame, index, coil] = 10 * body * np.exp(-away + 1j * (angle + 0.5 * x))
    return images


@dataclass(frozen=True, kw_only=True)
class Mrd:
    """An MRD file to be written, with what may be wrong or unusual about it."""

    kspace: NDArray[np.complex64] = field(default_factory=lambda: fft2c(coil_images()))
    """Samples without oversampling. Shape ``(frames, slices, coils, ky, kx)``."""

    oversampling: int = 2
    lines: tuple[int, ...] | None = None
    """Lines (ky) to write; all if None."""

    averages: int = 1
    trajectory: str = "cartesian"
    centre: int | None = None
    """Counter of the centre line; that of the grid if None."""

    first_sample: int = 0
    """Samples that a partial echo lacks at its start, in oversampled samples."""

    recon_rows: int | None = None
    """Rows of the reconstructed space, where there is phase oversampling."""

    spacing_mm: tuple[float, float, float] = (5.0, 1.5, 2.0)
    """Distance between slices, rows and columns."""

    position: tuple[float, float, float] = (10.0, -20.0, 30.0)
    """Centre of the first slice, LPS [mm]."""

    read: tuple[float, float, float] = (1.0, 0.0, 0.0)
    phase: tuple[float, float, float] = (0.0, 1.0, 0.0)
    slices: tuple[int, ...] | None = None
    """In which order slices lie along the normal; as they are counted if None."""

    noise: NDArray[np.complex64] | None = None
    """Samples of noise. Shape ``(coils, samples)``."""

    flags: Mapping[int, int] = field(default_factory=dict)
    """Flag of an acquisition, by its number."""

    sections: str = ""
    """XML before the encoding."""

    xml: str | None = None
    """The whole header; None for one that fits."""

    change: Callable[[ismrmrd.Acquisition, int], ismrmrd.Acquisition] = lambda a, _: a
    """Changes an acquisition before it is written."""

    def write(self, path: Path) -> Path:
        """Write the file, and return its path."""
        with ismrmrd.Dataset(path, mode="w") as file:
            file.write_xml_header((self.xml or self._header()).encode())
            if self.noise is not None:
                file.append_acquisition(self._acquisition(self.noise, flag=19))
            for number, acquisition in enumerate(self._acquisitions()):
                if number in self.flags:
                    acquisition.setFlag(self.flags[number])
                file.append_acquisition(self.change(acquisition, number))
        return path

    def _acquisitions(self) -> list[ismrmrd.Acquisition]:
        """Return the lines, oversampled along the readout."""
        n_frames, n_slices, _, ky, kx = self.kspace.shape
        image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(self.kspace, -1), norm="ortho"), -1)
        pad = kx * self.oversampling // 2 - kx // 2
        wide = np.pad(image, [(0, 0)] * 4 + [(pad, kx * (self.oversampling - 1) - pad)])
        lines = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(wide, -1), norm="ortho"), -1)
        heights = self.slices or tuple(range(n_slices))
        normal = np.cross(self.read, self.phase)
        shift = 0 if self.centre is None else self.centre - ky // 2
        found = []
        for frame in range(n_frames):
            for line in self.lines or range(ky):
                for index in range(n_slices):
                    for average in range(self.averages):
                        data = lines[frame, index, :, line, self.first_sample :]
                        one = self._acquisition(data.astype(np.complex64))
                        one.center_sample = kx * self.oversampling // 2 - self.first_sample
                        one.idx.kspace_encode_step_1 = line + shift
                        one.idx.slice, one.idx.repetition, one.idx.average = index, frame, average
                        offset = heights[index] * self.spacing_mm[0] * normal
                        one.position[:] = list(np.array(self.position) + offset)
                        one.acquisition_time_stamp = 1000 + 400 * frame + line
                        found.append(one)
        return found

    def _acquisition(
        self, data: NDArray[np.complex64], flag: int | None = None
    ) -> ismrmrd.Acquisition:
        """Return an acquisition."""
        one = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data))
        one.read_dir[:], one.phase_dir[:] = self.read, self.phase
        one.slice_dir[:] = list(np.cross(self.read, self.phase))
        one.sample_time_us = 5.0
        if flag is not None:
            one.setFlag(flag)
        return one

    def _header(self) -> str:
        """Return a header that fits the samples."""
        _, _, _, ky, kx = self.kspace.shape
        thick, row, column = self.spacing_mm
        rows = self.recon_rows or ky
        centre = ky // 2 if self.centre is None else self.centre
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">{self.sections}
<experimentalConditions><H1resonanceFrequency_Hz>63500000</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace><matrixSize><x>{kx * self.oversampling}</x>
<y>{ky}</y><z>1</z></matrixSize><fieldOfView_mm><x>{kx * self.oversampling * column}</x>
<y>{ky * row}</y><z>{thick}</z></fieldOfView_mm></encodedSpace><reconSpace><matrixSize><x>{kx}</x>
<y>{rows}</y><z>1</z></matrixSize><fieldOfView_mm><x>{kx * column}</x><y>{rows * row}</y>
<z>{thick}</z></fieldOfView_mm></reconSpace><encodingLimits><kspace_encoding_step_1>
<minimum>0</minimum><maximum>{ky - 1}</maximum><center>{centre}</center></kspace_encoding_step_1>
</encodingLimits><trajectory>{self.trajectory}</trajectory></encoding></ismrmrdHeader>"""

    def but(self, **changes: object) -> "Mrd":
        """Return the same file with changes."""
        return replace(self, **changes)  # type: ignore[arg-type]


IDENTITY = """<subjectInformation><patientName>Doe^Jane</patientName><patientID>0042</patientID>
<patientBirthdate>1970-01-31</patientBirthdate><patientGender>F</patientGender>
</subjectInformation><studyInformation><studyDate>2021-03-04</studyDate>
<studyTime>10:11:12</studyTime><studyID>S7</studyID><accessionNumber>123</accessionNumber>
<studyInstanceUID>1.2.826.0.1.1</studyInstanceUID></studyInformation><measurementInformation>
<patientPosition>HFS</patientPosition><protocolName>GRE</protocolName>
<frameOfReferenceUID>1.2.826.0.1.2</frameOfReferenceUID></measurementInformation>
<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor>
<systemFieldStrength_T>2.89</systemFieldStrength_T></acquisitionSystemInformation>"""
"""Sections of a header that say whose the data are."""


def write_bart(
    array: NDArray[np.complex64], path: Path, sizes: tuple[int, ...] | None = None
) -> Path:
    """Write an array of BART's axes as .cfl and .hdr, and return the path of the .cfl."""
    array.astype("<c8").ravel(order="F").tofile(path)
    stated = " ".join(str(n) for n in sizes or array.shape)
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{stated}\n")
    return path


def write_fastmri(path: Path, kspace: NDArray[np.complex64], **datasets: object) -> Path:
    """Write a fastMRI file, and return its path.

    Parameters
    ----------
    path
        The file.
    kspace
        Shape ``(slices, coils, rows, columns)``.
    datasets
        Further datasets.
    """
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        for name, value in datasets.items():
            file[name] = value
    return path


def write_nifti(path: Path, array: NDArray[np.complex64], affine: NDArray[np.float64]) -> Path:
    """Write k-space ``(frames, slices, coils, ky, kx)`` as complex NIfTI, and return the path."""
    ras = LPS_FROM_RAS @ affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(array.transpose(4, 3, 1, 0, 2), ras)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path
