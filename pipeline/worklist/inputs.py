"""The files of the instances that a step is to be performed on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.gateways.worklist import InputReference
from pipeline.ledger.workitems import Workitems


class Fetch(Protocol):
    """Brings instances from another system into the inbox.

    Contract: after a call every instance that the system has is in the inbox, and recorded there;
    one that is there already stays. It may take as long as the transfer does. ``PeerUnavailable``
    is raised if the system does not answer, ``PeerRefused`` if it will not give them.
    """

    def __call__(self, inputs: Sequence[InputReference]) -> None:
        """Bring the instances of some references."""


class Inputs(Protocol):
    """Knows where the inputs of steps are.

    Contract: all files of all references, or None as long as one is missing. It may be asked again,
    and raises what ``Fetch`` raises.
    """

    def files(self, inputs: Sequence[InputReference]) -> tuple[Path, ...] | None:
        """Return the files of some references."""


class InboxInputs:
    """Inputs that were received, or are fetched into the inbox.

    Parameters
    ----------
    workitems
        The ledger's records.
    inbox
        Folder that the paths of received instances start from.
    fetch
        Brings what is missing; None waits until somebody sends it.
    """

    def __init__(self, workitems: Workitems, inbox: Path, fetch: Fetch | None = None) -> None:
        self._workitems, self._inbox, self._fetch = workitems, inbox, fetch

    def files(self, inputs: Sequence[InputReference]) -> tuple[Path, ...] | None:
        """Return the files of some references; None as long as one is missing."""
        found, missing = self._received(inputs)
        if missing and self._fetch is not None:
            self._fetch(missing)
            found, missing = self._received(inputs)
        return None if missing else found

    def _received(
        self, inputs: Sequence[InputReference]
    ) -> tuple[tuple[Path, ...], tuple[InputReference, ...]]:
        """Return the files that were received, and the references that are not whole."""
        wanted = [uid for each in inputs for uid in each.sop_instance_uids]
        received = self._workitems.received(wanted)
        missing = tuple(
            each for each in inputs if any(uid not in received for uid in each.sop_instance_uids)
        )
        paths = (self._inbox / path for path in received.values())
        return tuple(sorted(paths)), missing
