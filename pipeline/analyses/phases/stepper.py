"""The analysis second by second, with a state that can be saved: the one way of video and stream.

A recorded video is a loop over ``push``, so it and a stream give the same bits.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import Forecast, anticipated
from pipeline.analyses.phases.filter import FilterState
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.recognise import (
    Recognised,
    RecogniserState,
    initial_state,
    recognise,
)
from pipeline.analyses.phases.result import Mark, StepResult
from pipeline.analyses.phases.sight import UNSEEN, Glance, Sight, glance, look, observe
from pipeline.errors import UnusableCall
from pipeline.imaging.timedframe import TimedFrame

LAYOUT_VERSION = 1
"""Version of saved states that this code reads."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """A second with all that it gave: what ``StepResult`` says in words, as arrays."""

    result: StepResult
    """For whoever follows the operation."""

    sight: Sight
    """What was kept of the picture."""

    recognised: Recognised
    """What the recogniser gave."""


class PhaseStepper:
    """Takes pictures, gives seconds.

    Pictures come in order of time. The state has a fixed size, and what ``push`` gives depends on
    nothing but the pictures pushed before, also across ``state`` and ``restore``.

    Parameters
    ----------
    networks
        What knows the procedure.
    """

    def __init__(self, networks: PhaseNetworks) -> None:
        self._networks = networks
        self._state = initial_state(networks)
        self._last_t = -np.inf

    @property
    def next_index(self) -> int:
        """Steps that are done: the index of the next one."""
        return self._state.index

    def push(self, frame: TimedFrame) -> tuple[StepResult, ...]:
        """Take a picture and return the seconds that it completes.

        A picture belongs to the step nearest to it, ``round(t * rate)``, and the first picture of a
        step is taken. A later one of a step that is done gives nothing; one that is later than the
        next step gives each step between as missing, then its own.

        Raises
        ------
        UnusableCall
            If the picture is earlier than one that was pushed.
        """
        return tuple(step.result for step in self.push_kept(frame))

    def push_kept(self, frame: TimedFrame) -> tuple[Step, ...]:
        """Do what ``push`` does, and return all that is known of the seconds."""
        is_done = index_of(frame.t_seconds, self._networks) < self.next_index
        glanced = None if is_done else glance(frame.rgb, self._networks)
        return self.push_glanced(frame.t_seconds, glanced)

    def push_glanced(self, t_seconds: float, glanced: Glance | None) -> tuple[Step, ...]:
        """Do what ``push_kept`` does, with a picture that was glanced at elsewhere.

        Parameters
        ----------
        t_seconds
            When it is shown [s].
        glanced
            The picture; None if its step has had one before.

        Raises
        ------
        UnusableCall
            As ``push``.
        """
        if t_seconds < self._last_t:
            raise UnusableCall(
                f"a picture at {t_seconds:.3f} s after one at {self._last_t:.3f} s: "
                "pictures come in order of time"
            )
        self._last_t = t_seconds
        if glanced is None:
            return ()
        index = index_of(t_seconds, self._networks)
        passed = [self.take(UNSEEN) for _ in range(index - self.next_index)]
        return (*passed, self.take(look(glanced, self._networks)))

    def take(self, sight: Sight) -> Step:
        """Take the next second as it was seen: what ``push`` comes down to."""
        index = self.next_index
        recognised, self._state = recognise(
            observe(sight, self._networks), self._state, self._networks
        )
        t_seconds = index / self._networks.model.rate_hz
        return Step(
            result=_in_words(sight.mark, recognised, index, t_seconds, self._networks),
            sight=sight,
            recognised=recognised,
        )

    def state(self) -> bytes:
        """Return all that the next step depends on, with the bundle's digest and the index."""
        state = self._state
        header = {
            "layout": LAYOUT_VERSION,
            "bundle": self._networks.bundle_digest,
            "procedure": self._networks.procedure.name,
            "index": state.index,
            "column": state.filter.column,
            "elapsed": state.filter.elapsed,
            "last_t": self._last_t if np.isfinite(self._last_t) else None,
        }
        arrays: dict[str, Any] = {f"temporal_{n}": a for n, a in enumerate(state.temporal)}
        arrays["belief"] = state.filter.belief
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """Go on from a saved state.

        Raises
        ------
        UnusableCall
            If it is another bundle's, another procedure's, or damaged.
        """
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in saved.files}
            header = json.loads(arrays.pop("header").tobytes())
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as problem:
            raise UnusableCall("saved state: damaged") from problem
        self._check(header, arrays)
        last_t = header["last_t"]
        self._last_t = -np.inf if last_t is None else float(last_t)
        names = sorted(name for name in arrays if name.startswith("temporal_"))
        self._state = RecogniserState(
            index=int(header["index"]),
            temporal=tuple(arrays[name] for name in names),
            filter=FilterState(
                belief=arrays["belief"],
                column=int(header["column"]),
                elapsed=int(header["elapsed"]),
            ),
        )

    def _check(self, header: object, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Refuse a state that is not this stepper's."""
        own = {
            "layout": LAYOUT_VERSION,
            "bundle": self._networks.bundle_digest,
            "procedure": self._networks.procedure.name,
        }
        if not isinstance(header, dict):
            raise UnusableCall("saved state: damaged")
        for key, value in own.items():
            if header.get(key) != value:
                raise UnusableCall(f"saved state: its {key} is another than {value}")
        fresh = initial_state(self._networks)
        expected: dict[str, NDArray[Any]]
        expected = {f"temporal_{n}": a for n, a in enumerate(fresh.temporal)}
        expected["belief"] = fresh.filter.belief
        found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        if found != {name: (array.shape, array.dtype) for name, array in expected.items()}:
            raise UnusableCall("saved state: damaged")


def index_of(t_seconds: float, networks: PhaseNetworks) -> int:
    """Return the step that a picture of a time [s] belongs to."""
    return int(np.floor(t_seconds * networks.model.rate_hz + 0.5))


def _in_words(
    mark: Mark, recognised: Recognised, index: int, t_seconds: float, networks: PhaseNetworks
) -> StepResult:
    """Return a second for whoever follows the operation."""
    learned: Forecast | None = recognised.learned
    return StepResult(
        index=index,
        t_seconds=t_seconds,
        mark=mark,
        raw=recognised.raw,
        filtered=recognised.filtered,
        uncertainty=recognised.uncertainty,
        phase=networks.procedure.names[recognised.column] if mark is Mark.USABLE else None,
        anticipation=anticipated(networks.procedure, t_seconds, learned, recognised.prior),
    )
