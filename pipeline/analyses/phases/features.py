"""What the encoder saw of a video, kept by content: another temporal model never decodes again.

A file's name is the digest of the video, the encoder and the rate, so that a file is never that of
another video or encoder. It is written whole or not at all.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.result import MARKS, Mark
from pipeline.analyses.phases.sight import Sight
from pipeline.identity import digest_settings

MARKS_VERSION = 1
"""Version of the measures and thresholds in ``picture``: other marks are other files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureStore:
    """A folder of kept features.

    Nothing is ever removed from it: a site cleans it as it likes, files are made again.
    """

    folder: Path
    """The folder; made when something is kept."""

    def read(self, input_digest: str, networks: PhaseNetworks) -> tuple[Sight, ...] | None:
        """Return the seconds of a video, or None if they are not kept.

        A file that cannot be read counts as none: it is written again.
        """
        try:
            with self._path(input_digest, networks).open("rb") as file:
                kept = np.load(file, allow_pickle=False)
                marks, features = kept["mark"], kept["features"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        seen = iter(features)
        return tuple(
            Sight(mark=MARKS[m], features=next(seen) if MARKS[m] is Mark.USABLE else None)
            for m in marks
        )

    def write(self, input_digest: str, networks: PhaseNetworks, sights: Sequence[Sight]) -> None:
        """Keep the seconds of a video."""
        path = self._path(input_digest, networks)
        self.folder.mkdir(parents=True, exist_ok=True)
        width = networks.model.n_features
        features = [s.features for s in sights if s.features is not None]
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez(
                file,
                mark=np.array([MARKS.index(s.mark) for s in sights], dtype=np.uint8),
                features=np.array(features, dtype=np.float16).reshape(-1, width),
            )
        temporary.replace(path)

    def _path(self, input_digest: str, networks: PhaseNetworks) -> Path:
        """Return where the seconds of a video are kept."""
        key = {
            "input": input_digest,
            "encoder": networks.encoder_digest,
            "rate_hz": networks.model.rate_hz,
            "marks": MARKS_VERSION,
        }
        return self.folder / f"{kept_for(input_digest)}{digest_settings(key)[:32]}.npz"


def kept_for(input_digest: str) -> str:
    """Return what the names of the files begin with that are kept of a video."""
    return f"{input_digest[:32]}-"
