"""The temporal network: one definition for training on whole operations and for one step.

After SuPRA (Boels et al., arXiv 2403.06200, as far as it can be read): attention over a window of
the last seconds, a running maximum of compressed keys for the long past, a fusion head for the
present, and queries for the next segments. What departs from it:

- The window ends at the present second and is masked before the first one; the maximum runs over
  every second since the start, so it never falls.
- Beside the keys the network keeps for how long each phase has been seen, by a head that sees the
  window alone: a maximum tells that something was seen, and not how much of it.
- The input is what a frame-wise encoder or tool detector says of a second, with a flag for each:
  either may be missing.
"""

import math

import torch
from torch import Tensor, nn

from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.analyses.phases.temporal import (
    LOG_PROBABILITY_SCALE,
    NO_KEY,
    observation_width,
)

WINDOW = 20
"""Seconds that attention sees, the present one included."""

N_KEYS = 32
"""Length of the compressed keys."""

CHANNELS = 64
"""Width of the network."""

HEADS = 8
"""Heads of the attention, each with its own reach at the start."""

REACHES_PER_SECOND = (0.0, 0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""What the attention of each head loses per second of age, before training."""

SECONDS_SCALE = 10.0
"""Times seen enter as ``log(1 + seconds / scale) / 3``."""

State = tuple[Tensor, Tensor, Tensor, Tensor]
"""``recent`` (1, WINDOW - 1, width), ``peak`` (1, N_KEYS), ``seen`` (1, phases), ``count`` (1,
1)."""

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""``now`` (n, phases), ``following`` (n, N_NEXT, phases + 1), ``durations`` (n, N_NEXT), ``rests``
(n, 2)."""


class TemporalNetwork(nn.Module):
    """Maps observations to phases now and to come.

    Parameters
    ----------
    n_phases
        Phases of the procedure.
    n_tools
        Instruments whose presence may be told.
    """

    def __init__(self, n_phases: int, n_tools: int) -> None:
        super().__init__()
        self.n_phases = n_phases
        self.width = observation_width(n_phases, n_tools)
        self.embedding = nn.Sequential(
            nn.Linear(self.width + n_phases, CHANNELS),
            nn.ReLU(),
            nn.Linear(CHANNELS, CHANNELS),
            nn.LayerNorm(CHANNELS),
        )
        self.query, self.key, self.value, self.output = (
            nn.Linear(CHANNELS, CHANNELS) for _ in range(4)
        )
        age = torch.arange(WINDOW - 1, -1, -1.0)
        self.reach = nn.Parameter(-torch.tensor(REACHES_PER_SECOND)[:, None] * age)
        self.attended = _Residual(CHANNELS)
        self.glimpse = nn.Linear(CHANNELS, n_phases)
        self.compress = nn.Sequential(nn.Linear(CHANNELS, N_KEYS), nn.ReLU(), nn.LayerNorm(N_KEYS))
        self.expand = nn.Linear(N_KEYS, CHANNELS)
        self.clock = nn.Sequential(
            nn.Linear(n_phases + 1, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, CHANNELS)
        )
        self.fusion = _Residual(CHANNELS)
        self.now = nn.Linear(CHANNELS, n_phases)
        self.queries = nn.Parameter(0.5 * torch.randn(N_NEXT, CHANNELS))
        self.decoder = nn.Sequential(
            nn.Linear(2 * CHANNELS, 2 * CHANNELS),
            nn.ReLU(),
            nn.Linear(2 * CHANNELS, CHANNELS),
            nn.LayerNorm(CHANNELS),
        )
        self.following = nn.Linear(CHANNELS, n_phases + 1)
        self.duration = nn.Linear(CHANNELS, 1)
        self.rest = nn.Linear(CHANNELS, 2)

    def forward(self, observations: Tensor) -> tuple[Outputs, Tensor]:
        """Return the outputs of a whole operation, and the logits of the window alone.

        Parameters
        ----------
        observations
            Shape ``(seconds, width)``.
        """
        seconds = observations.shape[0]
        embedded = self._embed(observations)
        # What stands before the first second is masked: any values will do.
        keys, values = (
            torch.cat([embedded.new_zeros(WINDOW - 1, CHANNELS), layer(embedded)])
            .unfold(0, WINDOW, 1)
            .transpose(1, 2)
            for layer in (self.key, self.value)
        )
        count = torch.arange(seconds, dtype=torch.float32)[:, None]
        attended = self._attend(embedded, keys, values, count)
        glimpse = self.glimpse(attended)
        peak = torch.cummax(self.compress(attended), dim=0).values
        seen = torch.cumsum(glimpse.softmax(dim=1), dim=0)
        return self._tell(attended, peak, seen, count + 1), glimpse

    def step(
        self, observation: Tensor, recent: Tensor, peak: Tensor, seen: Tensor, count: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the outputs of one second, then the next state."""
        window = torch.cat([recent, observation[:, None]], dim=1)
        embedded = self._embed(window)
        attended = self._attend(embedded[:, -1], self.key(embedded), self.value(embedded), count)
        peak = torch.maximum(peak, self.compress(attended))
        seen = seen + self.glimpse(attended).softmax(dim=1)
        outputs = self._tell(attended, peak, seen, count + 1)
        return (*outputs, window[:, 1:], peak, seen, count + 1)

    def initial(self) -> State:
        """Return the state before the first second."""
        return (
            torch.zeros(1, WINDOW - 1, self.width),
            torch.full((1, N_KEYS), NO_KEY),
            torch.zeros(1, self.n_phases),
            torch.zeros(1, 1),
        )

    def _embed(self, observations: Tensor) -> Tensor:
        """Return seconds as the network works on them. Shape ``(..., CHANNELS)``."""
        n = self.n_phases
        probabilities = observations[..., n : n + 1] * torch.exp(
            LOG_PROBABILITY_SCALE * observations[..., :n]
        )
        embedded: Tensor = self.embedding(torch.cat([observations, probabilities], dim=-1))
        return embedded

    def _attend(self, present: Tensor, keys: Tensor, values: Tensor, count: Tensor) -> Tensor:
        """Return what the present second finds in its window.

        Parameters
        ----------
        present
            Shape ``(n, CHANNELS)``.
        keys, values
            Of the window, the present second last. Shape ``(n, WINDOW, CHANNELS)``.
        count
            Seconds before the present one. Shape ``(n, 1)``.
        """
        split = (HEADS, CHANNELS // HEADS)
        query = self.query(present).unflatten(-1, split)
        scores = torch.einsum("nhc,nwhc->nhw", query, keys.unflatten(-1, split))
        scores = scores / math.sqrt(split[1]) + self.reach
        age = torch.arange(WINDOW - 1, -1, -1.0)
        scores = scores.masked_fill((age > count)[:, None], NO_KEY)
        found = torch.einsum(
            "nhw,nwhc->nhc", scores.softmax(dim=-1), values.unflatten(-1, split)
        ).flatten(1)
        attended: Tensor = self.attended(present + self.output(found))
        return attended

    def _tell(self, attended: Tensor, peak: Tensor, seen: Tensor, count: Tensor) -> Outputs:
        """Return what is known of the present and of what comes."""
        times = torch.log1p(torch.cat([seen, count], dim=1) / SECONDS_SCALE) / 3
        fused = self.fusion(attended + self.expand(peak) + self.clock(times))
        queries = self.queries.expand(fused.shape[0], -1, -1)
        repeated = fused[:, None].expand(-1, N_NEXT, -1)
        decoded = self.decoder(torch.cat([repeated, queries], dim=-1))
        return (
            self.now(fused),
            self.following(decoded),
            self.duration(decoded).squeeze(-1),
            self.rest(fused),
        )


class _Residual(nn.Module):
    """Layer norm, two layers with a way around, layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(channels)
        self.layers = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        self.after = nn.LayerNorm(channels)

    def forward(self, value: Tensor) -> Tensor:
        """Return the value with what the layers add."""
        value = self.before(value)
        return self.after(value + self.layers(value))


def n_parameters(network: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(p.numel() for p in network.parameters())
