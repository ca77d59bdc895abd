"""The acquisitions of an MRD file: their headers first, then their samples.

References
----------
.. [MRD] ISMRM Raw Data format, AcquisitionHeader and its flags, numbered from 1.
"""

from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.ingest.limits import Limits
from pipeline.ingest.raw.content import check_size

FLAGS = {
    "ACQ_IS_NOISE_MEASUREMENT": 19,
    "ACQ_IS_PARALLEL_CALIBRATION": 20,
    "ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING": 21,
    "ACQ_IS_REVERSE": 22,
    "ACQ_IS_NAVIGATION_DATA": 23,
    "ACQ_IS_PHASECORR_DATA": 24,
    "ACQ_IS_HPFEEDBACK_DATA": 26,
    "ACQ_IS_DUMMYSCAN_DATA": 27,
    "ACQ_IS_RTFEEDBACK_DATA": 28,
    "ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA": 29,
    "ACQ_IS_PHASE_STABILIZATION_REFERENCE": 30,
    "ACQ_IS_PHASE_STABILIZATION": 31,
}
"""Numbers of the flags that are honoured [MRD]_."""

NO_IMAGE = (
    "ACQ_IS_NOISE_MEASUREMENT",
    "ACQ_IS_NAVIGATION_DATA",
    "ACQ_IS_PHASECORR_DATA",
    "ACQ_IS_HPFEEDBACK_DATA",
    "ACQ_IS_DUMMYSCAN_DATA",
    "ACQ_IS_RTFEEDBACK_DATA",
    "ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA",
    "ACQ_IS_PHASE_STABILIZATION_REFERENCE",
    "ACQ_IS_PHASE_STABILIZATION",
)
"""Flags of what is not part of an image."""

COUNTERS = (
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "average",
    "slice",
    "contrast",
    "phase",
    "repetition",
    "set",
)
"""Encoding counters that are read."""

FIELDS = (
    "flags",
    "acquisition_time_stamp",
    "number_of_samples",
    "active_channels",
    "discard_pre",
    "discard_post",
    "center_sample",
    "encoding_space_ref",
    "sample_time_us",
    "position",
    "read_dir",
    "phase_dir",
    "slice_dir",
    "idx",
)
"""Fields of an acquisition's header that are read."""

Heads = NDArray[np.void]
"""Headers of acquisitions, with the fields of ``FIELDS``. Shape ``(acquisitions,)``."""

CHUNK = 512
"""Acquisitions that are read at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readouts:
    """Samples of some acquisitions."""

    indices: NDArray[np.int64]
    """Which acquisitions of the file."""

    samples: tuple[NDArray[np.complex64], ...]
    """Samples of each, without those to be discarded. Shape ``(coils, samples)``."""


def read_heads(data: h5py.Dataset, name: str, limits: Limits) -> Heads:
    """Read the headers of all acquisitions, and check what they promise.

    Raises
    ------
    UnreadableFile
        If they lack fields, or promise more samples than allowed.
    InconsistentSeries
        If there are none.
    """
    head = _head_type(data, name)
    if data.ndim != 1 or data.shape[0] == 0:
        raise InconsistentSeries(f"{name}: holds no acquisition")
    check_size(int(data.shape[0]) * head.itemsize // 8, name, limits)
    heads = np.asarray(data.fields("head")[:])
    n_samples = heads["number_of_samples"].astype(np.int64) * heads["active_channels"]
    check_size(int(n_samples.sum()), name, limits)
    return heads


def flagged(heads: Heads, *names: str) -> NDArray[np.bool_]:
    """Return which acquisitions have any of some flags.

    Parameters
    ----------
    heads
        Headers.
    names
        Keys of ``FLAGS``.
    """
    bits = sum(1 << (FLAGS[flag] - 1) for flag in names)
    return np.asarray((heads["flags"].astype(np.uint64) & np.uint64(bits)) != 0)


def read_samples(
    data: h5py.Dataset, heads: Heads, wanted: NDArray[np.bool_], name: str
) -> Readouts:
    """Read the samples of some acquisitions.

    Parameters
    ----------
    data
        The acquisitions.
    heads
        Their headers.
    wanted
        Which to read. Shape ``(acquisitions,)``.
    name
        The file's name, for messages.

    Raises
    ------
    UnreadableFile
        If an acquisition holds another number of samples than its header says.
    """
    indices = np.flatnonzero(wanted)
    found: list[NDArray[np.complex64]] = []
    for start in range(0, heads.size, CHUNK):
        chosen = indices[(indices >= start) & (indices < start + CHUNK)]
        if chosen.size:
            values = data.fields("data")[start : min(start + CHUNK, heads.size)]
            found += [_samples(values[i - start], heads[i], int(i), name) for i in chosen]
    return Readouts(indices=indices, samples=tuple(found))


def _samples(
    values: NDArray[np.float32], head: np.void, index: int, name: str
) -> NDArray[np.complex64]:
    """Return the samples of one acquisition."""
    n_coils, n_samples = int(head["active_channels"]), int(head["number_of_samples"])
    flat = np.asarray(values)
    if flat.dtype != np.float32 or flat.size != 2 * n_coils * n_samples:
        raise UnreadableFile(
            f"{name}: acquisition {index} holds {flat.size} values, its header says {n_coils} "
            f"coils of {n_samples} complex samples"
        )
    samples = np.ascontiguousarray(flat).view(np.complex64).reshape(n_coils, n_samples)
    stop = n_samples - int(head["discard_post"])
    kept = samples[:, int(head["discard_pre"]) : max(0, stop)]
    if not kept.size:
        raise UnreadableFile(f"{name}: acquisition {index} has no samples left after discards")
    return kept


def _head_type(data: h5py.Dataset, name: str) -> np.dtype[np.void]:
    """Return the type of an acquisition's header, which must have all fields."""
    fields = data.dtype.fields or {}
    head = fields["head"][0] if "head" in fields and "data" in fields else np.dtype(np.void)
    known = head.names or ()
    missing = [f for f in FIELDS if f not in known]
    if not missing:
        missing = [c for c in COUNTERS if c not in (head["idx"].names or ())]
    if missing:
        raise UnreadableFile(f"{name}: acquisitions lack {missing[0]}, not an MRD file")
    return head
