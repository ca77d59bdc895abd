"""What is kept of a picture: what it shows, and its features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.networks import PhaseNetworks, encode
from pipeline.analyses.phases.picture import mark_of, measure, small_picture
from pipeline.analyses.phases.result import Mark
from pipeline.analyses.phases.temporal import Observation, log_softmax


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sight:
    """One second as it was seen."""

    mark: Mark
    """What it shows."""

    features: NDArray[np.float16] | None
    """The encoder's features; None where the mark is not ``usable``."""


UNSEEN = Sight(mark=Mark.MISSING, features=None)
"""A second without a picture."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Glance:
    """A picture before the encoder has seen it."""

    mark: Mark
    """What it shows."""

    picture: NDArray[np.uint8]
    """As the encoder takes it. Shape ``(side, side, 3)``."""


def glance(rgb: NDArray[np.uint8], networks: PhaseNetworks) -> Glance:
    """Return what a picture shows, and what the encoder takes. Shape ``(rows, columns, 3)``."""
    picture = small_picture(rgb, networks.model.picture_side)
    return Glance(mark=mark_of(measure(picture)), picture=picture)


def look(glanced: Glance, networks: PhaseNetworks) -> Sight:
    """Return what is kept of a picture."""
    is_usable = glanced.mark is Mark.USABLE
    features = encode(networks, glanced.picture) if is_usable else None
    return Sight(mark=glanced.mark, features=features)


def observe(sight: Sight, networks: PhaseNetworks) -> Observation:
    """Return what a second brings to the temporal network.

    Parameters
    ----------
    sight
        The second.
    networks
        With a head; without, no second brings anything.
    """
    if sight.features is None or networks.head is None:
        return Observation()
    logits = networks.head(sight.features.astype(np.float32)[None])[0]
    return Observation(log_probabilities=log_softmax(logits))
