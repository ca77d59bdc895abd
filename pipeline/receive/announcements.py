"""Instance Availability Notification: another system says which instances of a study there are.

References
----------
.. [R] DICOM PS3.4, R Instance Availability Notification Service Class.
"""

import logging
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.events import Event

from pipeline.errors import LedgerUnavailable
from pipeline.ingest.uids import is_uid
from pipeline.ledger.arrivals import Arrivals
from pipeline.quiet import quietly
from pipeline.receive.server import Handler

LOG = logging.getLogger(__name__)

SUCCESS, MISSING_ATTRIBUTE, PROCESSING_FAILURE = 0x0000, 0x0120, 0x0110
"""Statuses of N-CREATE: PS3.7, 10.1.5.1.6."""

THERE = ("ONLINE", "NEARLINE")
"""Values of Instance Availability (0008,0056) of what will come, or can be asked for."""


def announcement_handler(arrivals: Arrivals, look_after_s: float) -> Handler:
    """Return what is done with a notification [R]_: the instances are expected from now on.

    Parameters
    ----------
    arrivals
        The studies that arrive.
    look_after_s
        Time after which a study is looked at that is announced [s].
    """

    def announced(event: Event) -> tuple[int, Dataset | None]:
        with quietly():
            told: Dataset = event.attribute_list
            study = str(told.get("StudyInstanceUID") or "")
            instances = list(_instances(told))
        if not is_uid(study) or not instances:
            return MISSING_ATTRIBUTE, None
        try:
            arrivals.announce(study, instances, look_after_s)
        except LedgerUnavailable:
            return PROCESSING_FAILURE, None
        LOG.info(
            "%d instances are announced",
            len(instances),
            extra={"action": "study_announced", "study_instance_uid": study},
        )
        return SUCCESS, Dataset()

    return evt.EVT_N_CREATE, announced


def _instances(told: Dataset) -> Iterator[str]:
    """Yield the instances that are there."""
    for series in told.get("ReferencedSeriesSequence") or ():
        for instance in series.get("ReferencedSOPSequence") or ():
            uid = str(instance.get("ReferencedSOPInstanceUID") or "")
            if is_uid(uid) and instance.get("InstanceAvailability", "ONLINE") in THERE:
                yield uid
