"""All files of a reconstruction.

DICOM is written where it is known whose raw data they are and where they lie: from an MRD header, a
reference series or the call. What of the patient is not known is left empty, and nothing is made
up. Else the images are NIfTI and figures; where not even a place is known, the NIfTI header says
that its coordinates are unknown.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.result import ReconstructionResult
from pipeline.encode.context import EncodingContext
from pipeline.encode.enhancedmr import enhanced_image
from pipeline.encode.intensitymap import deviation_object
from pipeline.encode.keyobject import (
    FILE,
    KIND,
    key_object_document,
    result_object,
    source_objects,
)
from pipeline.encode.mrimage import ROLE, classic_images
from pipeline.encode.mrseries import ImageSeries
from pipeline.encode.places import FIGURES, IMAGES, why_no_dicom
from pipeline.encode.provenance import artifact, write_object
from pipeline.encode.reconstructionfigures import write_reconstruction_figure
from pipeline.errors import ModelContractBroken
from pipeline.imaging.complexnifti import write_complex, write_unplaced
from pipeline.imaging.nifti import write_time_series, write_volume
from pipeline.imaging.volume import TimeSeries, Volume
from pipeline.quiet import quietly
from pipeline.study import Artifact, InputSeries, RawSeries, SourceFrame

CLASSIC, ENHANCED = "CLASSIC", "ENHANCED"
"""Forms of MR images."""

DESCRIPTION = (
    "Reconstruction from raw data: the images, and where it is known how far reconstructions of "
    "data perturbed within their noise lie apart. For research only."
)
"""What the key objects are."""


def encode_reconstruction(
    result: ReconstructionResult, series: RawSeries, context: EncodingContext, folder: Path
) -> tuple[Artifact, ...]:
    """Write a result's files into a folder and return their records.

    Parameters
    ----------
    result
        The images.
    series
        The raw data that they were made of.
    context
        What they are made under.
    folder
        An empty folder.

    Raises
    ------
    ModelContractBroken
        If an image is not on the grid of its raw data, or not finite.
    """
    _check(result, series)
    written: list[Artifact] = []
    if why_no_dicom(series) is None:
        # Values of a reference that break the standard are copied as they are, not judged here.
        with quietly():
            written += _write_dicom(_image_series(result, series, context), folder)
    written += _write_nifti(result, series, context, folder)
    (folder / FIGURES).mkdir()
    name = f"{FIGURES}/reconstruction.png"
    spacing = series.kspace.pixel_spacing_mm
    write_reconstruction_figure(result, folder / name, spacing_mm=spacing)
    written.append(artifact("figure", folder, name))
    return tuple(written)


def reconstructed_series(
    result: ReconstructionResult, series: RawSeries, context: EncodingContext, folder: Path
) -> InputSeries:
    """Return the images as the series that other analyses take, as if read from what is written.

    Parameters
    ----------
    result
        The images.
    series
        The raw data that they were made of.
    context
        What they are made under.
    folder
        Where their files are.

    Raises
    ------
    ModelContractBroken
        If the place of the raw data is not known.
    """
    if series.kspace.affine is None:
        raise ModelContractBroken(f"{series.label}: images without a place are no series")
    return _as_input(_image_series(result, series, context), folder)


def _image_series(
    result: ReconstructionResult, series: RawSeries, context: EncodingContext
) -> ImageSeries:
    """Return what DICOM objects are made of; the place is known."""
    affine = series.kspace.affine if series.kspace.affine is not None else np.eye(4)
    return ImageSeries(raw=series, result=result, context=context, affine=affine)


def _as_input(images: ImageSeries, folder: Path) -> InputSeries:
    """Return images as a series whose frames are the classic instances."""
    raw, context = images.raw, images.context
    n_frames, n_slices = images.stored.shape[:2]
    uid = context.uid(ROLE, "series")
    known = raw.header is not None
    frames = tuple(
        tuple(_frame(images, folder, frame, index) for index in range(n_slices))
        for frame in range(n_frames)
    )
    return InputSeries(
        label=uid if known else raw.label,
        study_instance_uid=str(images.header.StudyInstanceUID) if known else None,
        series_instance_uids=(uid,) if known else (),
        image=images.image,
        frames=frames if known else (),
        header=next(classic_images(images))[2] if known else None,
        input_digest=raw.input_digest,
        notes=raw.notes,
    )


def _frame(images: ImageSeries, folder: Path, frame: int, index: int) -> SourceFrame:
    """Return how other objects refer to one image."""
    context = images.context
    return SourceFrame(
        path=folder / _image_name(images, frame, index),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=context.uid(ROLE, f"instance/{frame}/{index}"),
        series_instance_uid=context.uid(ROLE, "series"),
        frame_number=1,
    )


def _image_name(images: ImageSeries, frame: int, index: int) -> str:
    """Return the file of a classic image."""
    return f"{IMAGES}/IM{frame * images.stored.shape[1] + index + 1:05d}.dcm"


def _write_dicom(images: ImageSeries, folder: Path) -> list[Artifact]:
    """Write the DICOM objects."""
    written: list[Artifact] = []
    keys = []
    as_input = _as_input(images, folder)
    if CLASSIC in images.context.mr_image_types:
        (folder / IMAGES).mkdir()
        for frame, index, image in classic_images(images):
            name = _image_name(images, frame, index)
            written.append(write_object(image, "image", folder, name))
        keys += source_objects(frame for row in as_input.frames for frame in row)
    if ENHANCED in images.context.mr_image_types:
        enhanced = enhanced_image(images)
        written.append(write_object(enhanced, "image", folder, "enhanced.dcm"))
        keys.append(result_object(enhanced))
    deviation = images.result.uncertainty
    if deviation is not None:
        instance = deviation_object(deviation, images, as_input)
        written.append(write_object(instance, "uncertainty_map", folder, "uncertainty.dcm"))
        keys.append(result_object(instance))
    document = key_object_document(keys, DESCRIPTION, images.header, images.context)
    written.append(write_object(document, KIND, folder, FILE))
    return written


def _write_nifti(
    result: ReconstructionResult, series: RawSeries, context: EncodingContext, folder: Path
) -> list[Artifact]:
    """Write magnitude and uncertainty, and the images with their phase where that is set."""
    found: dict[str, NDArray[np.generic]] = {"magnitude": np.abs(result.image)}
    if result.uncertainty is not None:
        found["uncertainty"] = result.uncertainty
    if context.complex_nifti:
        found["complex"] = result.image
    written = []
    for name, array in found.items():
        write_array(array, series, folder / f"{name}.nii.gz")
        written.append(artifact("nifti", folder, f"{name}.nii.gz"))
    return written


def write_array(array: NDArray[np.generic], series: RawSeries, path: Path) -> None:
    """Write an array of the images' shape."""
    kspace = series.kspace
    affine = kspace.affine
    steps = np.diff(kspace.times_s[:, 0])
    step_s = None if kspace.times_are_estimated or not steps.size else float(steps.mean())
    if affine is None:
        spacing = (kspace.slice_thickness_mm or 1.0, *(kspace.pixel_spacing_mm or (1.0, 1.0)))
        write_unplaced(array, spacing, path, step_s)
    elif np.iscomplexobj(array):
        write_complex(array.astype(np.complex64), affine, path, step_s)
    elif array.shape[0] == 1:
        write_volume(Volume(array=array[0], affine=affine), path)
    else:
        image = TimeSeries(
            array=array.astype(np.float32),
            affine=affine,
            times_s=kspace.times_s,
            times_are_estimated=kspace.times_are_estimated,
        )
        write_time_series(image, path, step_s)


def _check(result: ReconstructionResult, series: RawSeries) -> None:
    """Refuse images that are not what was asked for."""
    kspace = series.kspace
    expected = (kspace.n_frames, kspace.n_slices, *kspace.image_shape)
    if result.image.shape != expected:
        raise ModelContractBroken(f"images of shape {result.image.shape}, raw data of {expected}")
    n_bad = result.image.size - int(np.count_nonzero(np.isfinite(result.image)))
    if n_bad:
        raise ModelContractBroken(f"{n_bad} pixels are NaN or infinite")
