"""The encoder of the phases in torch: published weights, single precision, no graph."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.phases.encoder import fused, imagenet_encoder


class EagerEncoder:
    """The encoder with its published weights.

    Parameters
    ----------
    threads
        Threads of torch.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._encoder = fused(imagenet_encoder())

    def features(self, picture: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features of a small picture. Shape ``(side, side, 3)``."""
        image = torch.from_numpy(np.moveaxis(picture.astype(np.float32), -1, 0)[None].copy())
        with torch.inference_mode():
            found = self._encoder(image)[0].numpy()
        return np.asarray(found, dtype=np.float16)
