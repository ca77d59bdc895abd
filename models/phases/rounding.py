"""Weights of a convolution as few whole numbers, so rounded that the errors cancel on its inputs.

Each weight is rounded in turn, and what that changes in the output is made good by the weights that
are still to come, as far as inputs go together (GPTQ). What is left on average goes into the bias.

References
----------
.. Frantar E et al. GPTQ: accurate post-training quantization for generative pre-trained
   transformers. ICLR 2023. arXiv:2210.17323.
.. Nagel M et al. Data-free quantization through weight equalization and bias correction. ICCV 2019.
   arXiv:1906.04721.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.phases.encoder import Convolution

LARGEST = 63
"""Largest weight. Two products with activations up to 255 then add up to less than 2 ** 15, which
the instructions of processors without VNNI hold: with weights up to 127 they would clip the sum."""

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Shares of the largest weight of a channel that ``LARGEST`` is tried to stand for."""

SMALLEST_SCALE = 1e-6
"""Smallest scale: a channel without weights would have none, and its bias would not fit 32 bits."""

DAMPING = 0.01
"""Share of the inputs' mean variance that is added to each, so that none is without."""

SAMPLES = 100_000
"""Places of so many windows of eight pictures are enough to know how inputs go together."""

AT_ONCE = 8
"""Pictures whose windows are laid out at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rounded:
    """Weights as whole numbers."""

    whole: Tensor
    """Shape ``(channels, inputs)``; up to ``LARGEST`` either way."""

    scale: Tensor
    """What they are multiplied by. Shape ``(channels,)``."""


def rounded_weights(layer: Convolution, inputs: Tensor) -> Rounded:
    """Return the weights of a convolution, rounded with its inputs in view.

    Of all scales that are tried, each channel has the one with which its output changes least.

    Parameters
    ----------
    layer
        Without batch norm; each of its groups is one channel, or it has one group.
    inputs
        Shape ``(pictures, channels, rows, columns)``.
    """
    weights = layer.convolution.weight.detach().flatten(1).double()
    together = _covariance(layer, inputs)
    scale = torch.full_like(weights[:, :1], SMALLEST_SCALE)
    whole, least = torch.zeros_like(weights), torch.full_like(scale, torch.inf)
    for share in SHARES:
        largest = weights.abs().amax(dim=1, keepdim=True) * share
        tried = (largest / LARGEST).clamp(min=SMALLEST_SCALE).float().double()
        for found in (_in_turn(weights, tried, together), _nearest(weights / tried)):
            change = found * tried - weights
            error = torch.einsum("oi,oi->o", _through(together, change), change)[:, None]
            better = error < least
            least = torch.where(better, error, least)
            whole = torch.where(better, found, whole)
            scale = torch.where(better, tried, scale)
    return Rounded(whole=whole.float(), scale=scale.squeeze(1).float())


def _through(together: Tensor, change: Tensor) -> Tensor:
    """Return changes of weights times how their inputs go together."""
    if together.shape[0] == 1:
        return change @ together[0]
    return (change[:, None] @ together).squeeze(1)


def _in_turn(weights: Tensor, scale: Tensor, together: Tensor) -> Tensor:
    """Return weights rounded one after the other, each making good what those before it changed."""
    upper = torch.linalg.cholesky(torch.linalg.inv(together), upper=True)
    left, whole = weights.clone(), torch.zeros_like(weights)
    for place in range(weights.shape[1]):
        whole[:, place] = _nearest(left[:, place] / scale[:, 0])
        change = left[:, place] - whole[:, place] * scale[:, 0]
        row = upper[:, place]
        left[:, place:] -= (change / row[:, place])[:, None] * row[:, place:]
    return whole


def _nearest(weights: Tensor) -> Tensor:
    """Return the nearest whole numbers in range."""
    return weights.round().clamp(-LARGEST, LARGEST)


def _covariance(layer: Convolution, inputs: Tensor) -> Tensor:
    """Return how the inputs of a weight go together, damped. Shape ``(groups, inputs, inputs)``."""
    groups, width = layer.convolution.groups, layer.convolution.weight[0].numel()
    total = torch.zeros(groups, width, width, dtype=torch.double)
    mean, n = torch.zeros(groups, width, dtype=torch.double), 0
    for pictures in inputs.split(AT_ONCE):
        windows = _windows(layer, pictures)
        windows = windows[..., :: -(-windows.shape[2] // SAMPLES)].double()
        total += windows @ windows.transpose(1, 2)
        mean += windows.sum(dim=2)
        n += windows.shape[2]
    mean /= n
    together = total / n - mean[:, :, None] * mean[:, None, :]
    variance = together.diagonal(dim1=1, dim2=2).mean(dim=1)
    damping = DAMPING * variance + torch.finfo(torch.float32).eps
    return together + damping[:, None, None] * torch.eye(width, dtype=torch.double)


def _windows(layer: Convolution, pictures: Tensor) -> Tensor:
    """Return what each weight is multiplied by. Shape ``(groups, inputs, places)``."""
    convolution = layer.convolution
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    laid_out = functional.unfold(layer.padded(pictures), kernel, stride=stride)
    grouped = laid_out.unflatten(1, (convolution.groups, -1))
    return grouped.permute(1, 2, 0, 3).flatten(2)
