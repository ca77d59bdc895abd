"""Raw data and a made-up reconstruction of them, to be encoded."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.analyses.reconstruction.result import ReconstructionResult, SliceQuality
from pipeline.mr.fourier import fft2c
from pipeline.mr.kspace import KSpace, Readout
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.sense import zero_filled_rss
from pipeline.study import RawSeries
from tests.support.rawfiles import coil_images
from tests.support.results import CONTEXT

AFFINE = np.array([[0, 0.9, 1.6, -40.0], [0, 1.2, -1.2, 30.0], [8.0, 0, 0, 70.0], [0, 0, 0, 1.0]])
"""Oblique, with spacings 8, 1.5 and 2 mm; slices ascend along row x column cosines."""

RAW_CONTEXT = replace(
    CONTEXT,
    bundle_name="Tiny reconstruction",
    mr_image_types=("CLASSIC", "ENHANCED"),
    complex_nifti=True,
)


def known_header(**attributes: object) -> Dataset:
    """Return what an MRD header or a reference may state."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName = "Müller^Jürgen"
    header.PatientID = "0042"
    header.PatientBirthDate, header.PatientSex = "19700131", "M"
    header.StudyDate, header.StudyTime = "20210304", "101112"
    header.StudyID, header.AccessionNumber = "S7", "A-007"
    header.Manufacturer, header.ManufacturerModelName = "SIEMENS", "Skyra"
    header.MagneticFieldStrength = "2.89"
    header.RepetitionTime, header.EchoTime = "250", "4.6"
    header.PatientPosition, header.SeriesNumber = "HFS", 5
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


def raw_series(
    n_frames: int = 1, n_slices: int = 2, *, header: Dataset | None = None, placed: bool = True
) -> RawSeries:
    """Return undersampled raw data of a known object."""
    mask = draw_pattern("equispaced", (32, 24), 2, seed=1).mask
    array = fft2c(coil_images(n_frames, n_slices)) * mask
    kspace = KSpace(
        array=array.astype(np.complex64),
        mask=np.broadcast_to(mask, (n_frames, n_slices, 32, 24)),
        image_shape=(28, 24),
        readout=Readout.COLUMNS,
        affine=AFFINE if placed else None,
        pixel_spacing_mm=(1.5, 2.0),
        times_s=0.8 * np.arange(n_frames)[:, None] + 0.1 * np.arange(n_slices)[None],
        times_are_estimated=False,
        slice_thickness_mm=6.0,
    )
    return RawSeries(
        label="scan.h5",
        study_instance_uid="1.2.826.0.1.1" if header is not None else None,
        series_instance_uids=(),
        kspace=kspace,
        frames=(),
        header=header,
        input_digest="cd" * 32,
    )


def reconstruction_of(series: RawSeries, *, uncertain: bool = True) -> ReconstructionResult:
    """Return a result: the object itself, with phase and a made-up uncertainty."""
    kspace = series.kspace
    images = coil_images(kspace.n_frames, kspace.n_slices)[..., 2:30, :]
    image = (3e6 * images.sum(axis=2)).astype(np.complex64)
    rng = np.random.default_rng(2)
    deviation: NDArray[np.float32] = rng.uniform(0, 1e6, image.shape).astype(np.float32)
    return ReconstructionResult(
        image=image,
        uncertainty=deviation if uncertain else None,
        zero_filled=3e6 * zero_filled_rss(kspace.array)[..., 2:30, :],
        method="operator",
        algorithm="unrolled neural operator with soft data consistency",
        hard_data_consistency=False,
        acceleration=kspace.acceleration,
        slices=tuple(
            SliceQuality(
                slice_index=index,
                kspace_residual=0.03,
                zero_filled_residual=0.2,
                measured_acceleration=kspace.acceleration,
                calibration=(6, 24),
                mean_relative_uncertainty=0.02,
            )
            for index in range(kspace.n_slices)
        ),
        measurements=(),
        notes=(),
        stage_seconds={},
    )
