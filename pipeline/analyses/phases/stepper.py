"""The analysis second by second, with a state that can be saved: the one way of video and stream.

A recorded video is a loop over ``push``, so it and a stream give the same bits.
"""

from typing import Protocol

from pipeline.analyses.phases.result import StepResult
from pipeline.imaging.timedframe import TimedFrame


class PhaseStepper(Protocol):
    """Takes pictures, gives seconds.

    Contract: pictures come in order of time; the state has a fixed size; what ``push`` gives
    depends on nothing but the pictures pushed before, also across ``state`` and ``restore``.
    """

    @property
    def next_index(self) -> int:
        """Steps that are done: the index of the next one."""
        ...

    def push(self, frame: TimedFrame) -> tuple[StepResult, ...]:
        """Take a picture and return the seconds that it completes.

        Step ``n`` is the first picture at or after ``n / rate_hz - half a period``. A picture of a
        step that is done gives nothing; one that is later than the next step gives each step
        between as missing, then its own.

        Raises
        ------
        UnusableCall
            If the picture is earlier than one that was pushed.
        """
        ...

    def state(self) -> bytes:
        """Return all that the next step depends on, with the bundle's digest and the index."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from a saved state.

        Raises
        ------
        UnusableCall
            If it is another bundle's, another procedure's or settings', or damaged.
        """
        ...
