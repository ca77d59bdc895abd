"""A network of the published kind's size, in torch without any export: what small ones save.

Weights are random: the time does not depend on them, and the image says nothing. It is the size
``large`` of ``models.reconstruction.train``, 12 cascades of an operator of five levels in image and
k-space, 32 million weights; the paper's has 76 million.
"""

import torch

from models.reconstruction.data import MODEL
from models.reconstruction.network import Unrolled
from models.reconstruction.train import SIZES
from pipeline.analyses.reconstruction.prepare import prepare
from pipeline.analyses.reconstruction.rawslice import RawSlice
from pipeline.blas import one_thread


class LargeNetwork:
    """The network, made.

    Parameters
    ----------
    size
        A size of ``models.reconstruction.train``.
    threads
        Threads of torch.
    """

    def __init__(self, size: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self._network = Unrolled("operator", SIZES["operator", size]).eval()
        self._threads = threads

    def reconstruct(self, raw: RawSlice) -> tuple[int, ...]:
        """Reconstruct one slice; return the shape of its image."""
        with one_thread():
            prepared = prepare(raw, MODEL, self._threads)
        with torch.inference_mode():
            image, _ = self._network(prepared)
        return tuple(image.shape)
