"""What networks run on, what goes in and what comes out, without the library that runs them."""

from dataclasses import dataclass

CPU = ("CPUExecutionProvider",)
"""The provider that every installation has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """One input and one output of float32; an axis of None has any length."""

    input_name: str
    """Name of the graph's input."""

    input_shape: tuple[int | None, ...]
    """Its shape."""

    output_name: str
    """Name of the graph's output."""

    output_shape: tuple[int | None, ...]
    """Its shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """What the networks run on."""

    threads: int | None = None
    """Cores to use; all by default."""

    providers: tuple[str, ...] = CPU
    """Execution providers, in order of preference."""
