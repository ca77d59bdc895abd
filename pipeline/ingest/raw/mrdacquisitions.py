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
from pipeline.ingest.raw.heap import StoredValues

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

VALUE = np.dtype("<f4")
"""Type of the real and imaginary parts of samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readouts:
    """Samples of some acquisitions."""

    indices: NDArray[np.int64]
    """Which acquisitions of the file."""

    samples: tuple[NDArray[np.complex64], ...]
    """Samples of each, without those to be discarded. Shape ``(coils, samples)``."""


class Acquisitions:
    """The acquisitions of a file.

    Parameters
    ----------
    data
        The dataset that holds them.
    name
        The file's name, for messages.
    limits
        What a file may hold.

    Raises
    ------
    UnreadableFile
        If they lack fields, or promise more samples than allowed.
    InconsistentSeries
        If there are none.
    """

    def __init__(self, data: h5py.Dataset, name: str, limits: Limits) -> None:
        kind, head_at, self._data_at = _layout(data, name)
        if data.ndim != 1 or data.shape[0] == 0:
            raise InconsistentSeries(f"{name}: holds no acquisition")
        self._name = name
        self._stored = StoredValues(data, name, limits)
        self.heads: Heads = self._stored.field(kind, head_at)
        n_samples = self.heads["number_of_samples"].astype(np.int64) * self.heads["active_channels"]
        check_size(int(n_samples.sum()), name, limits)

    def samples(self, wanted: NDArray[np.bool_]) -> Readouts:
        """Read the samples of some acquisitions.

        Parameters
        ----------
        wanted
            Which to read. Shape ``(acquisitions,)``.

        Raises
        ------
        UnreadableFile
            If an acquisition holds another number of samples than its header says, or none.
        """
        indices = np.flatnonzero(wanted)
        return Readouts(
            indices=indices, samples=tuple(self._samples(int(index)) for index in indices)
        )

    def _samples(self, index: int) -> NDArray[np.complex64]:
        """Return the samples of one acquisition."""
        head, name = self.heads[index], self._name
        n_coils, n_samples = int(head["active_channels"]), int(head["number_of_samples"])
        n_values = int(self._stored.lengths(self._data_at)[index])
        if n_values != 2 * n_coils * n_samples:
            raise UnreadableFile(
                f"{name}: acquisition {index} holds {n_values} values, its header says {n_coils} "
                f"coils of {n_samples} complex samples"
            )
        values = self._stored.variable(index, self._data_at, VALUE.itemsize)
        samples = np.frombuffer(values, dtype=np.complex64).reshape(n_coils, n_samples)
        stop = n_samples - int(head["discard_post"])
        kept = samples[:, int(head["discard_pre"]) : max(0, stop)]
        if not kept.size:
            raise UnreadableFile(f"{name}: acquisition {index} has no samples left after discards")
        return kept


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


def _layout(data: h5py.Dataset, name: str) -> tuple[np.dtype[np.void], int, int]:
    """Return the type of an acquisition's header, and where header and samples start.

    The header must have all fields, and samples must be single precision as they are stored.
    """
    fields = data.dtype.fields or {}
    head, head_at = fields["head"][:2] if "head" in fields else (np.dtype(np.void), 0)
    known = head.names or ()
    missing = [f for f in FIELDS if f not in known]
    if not missing:
        missing = [c for c in COUNTERS if c not in (head["idx"].names or ())]
    if missing or "data" not in fields:
        what = missing[0] if missing else "data"
        raise UnreadableFile(f"{name}: acquisitions lack {what}, not an MRD file")
    samples, data_at = fields["data"][:2]
    if h5py.check_vlen_dtype(samples) != VALUE:
        raise UnreadableFile(f"{name}: acquisitions hold no samples in single precision")
    return head, int(head_at), int(data_at)
