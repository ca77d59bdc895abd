"""An analysis of a site's own, as tests of the service need it: real, small, and as bad as asked.

A series is one volume whose first values say what happens: a seed, a behaviour, and for how many
steps the network runs.
"""

import os
import signal
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from time import perf_counter
from uuid import UUID

import numpy as np

from pipeline.analysis import Performed
from pipeline.config import Configuration
from pipeline.identity import digest_file
from pipeline.infer.bundle import Bundle
from pipeline.infer.session import Network, open_network
from pipeline.infer.terms import Compute, Contract
from pipeline.ingest.candidate import Candidate
from pipeline.study import Artifact, InputSeries, Series

KILLS_ITS_PROCESS = 1
"""Behaviour of a job that takes its worker down."""

GIVES_ANOTHER_RESULT = 2
"""Behaviour of a job whose files and outcome are others each time."""

FILES = ("a.bin", "b/c.bin", "d.bin")
"""What a job writes, so that a part of it can be missing."""

FILE_BYTES = 40_000


class Tally:
    """Sums the values of a volume, by a network that takes as many steps as asked."""

    name = "tally"
    bundle_key = "tally"

    def __init__(self, bundle: Bundle, configuration: Configuration, compute: Compute) -> None:
        self.bundle = bundle
        self._compute = compute

    @property
    def configuration(self) -> Mapping[str, object]:
        return {}

    @cached_property
    def network(self) -> Network:
        contract = Contract(
            input_name="values", input_shape=(None,), output_name="total", output_shape=(1,)
        )
        member = self.bundle.network("tally")
        return open_network(member, contract, threads=1, providers=self._compute.providers)

    def why_not(self, candidate: Candidate) -> str | None:
        return None if candidate.modality == "NIFTI" else "only NIfTI is tallied"

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        assert isinstance(series, InputSeries)
        began = perf_counter()
        values = series.image.array.ravel()
        total = float(self.network(values.astype(np.float32))[0])
        ran = perf_counter()
        if values[1] == KILLS_ITS_PROCESS:
            os.kill(os.getpid(), signal.SIGKILL)
        if values[1] == GIVES_ANOTHER_RESULT:
            total += int.from_bytes(os.urandom(3), "big") + 1
        artifacts = []
        for number, name in enumerate(FILES):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(f"{total:.1f} {number} ".encode() * (FILE_BYTES // 12))
            artifacts.append(
                Artifact(
                    kind="tally",
                    relative_path=name,
                    sop_instance_uid=None,
                    sha256=digest_file(folder / name),
                )
            )
        progress(1.0)
        return Performed(
            artifacts=tuple(artifacts),
            outcome={
                "measurements": [{"name": "total", "value": total, "unit": "1"}],
                "uncertainty": [],
                "notes": [],
            },
            timings={"infer": ran - began, "encode": perf_counter() - ran},
        )
