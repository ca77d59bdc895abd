"""The SOP classes and transfer syntaxes that are negotiated."""

from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    InstanceAvailabilityNotification,
    StorageCommitmentPushModel,
    UnifiedProcedureStepEvent,
    Verification,
)


def receiver_contexts() -> list[PresentationContext]:
    """Return what the receiver takes."""
    preferred = sorted(ALL_TRANSFER_SYNTAXES, key=lambda uid: uid != "1.2.840.10008.1.2.1")
    storage = [
        build_context(str(context.abstract_syntax), preferred)
        for context in AllStoragePresentationContexts
    ]
    commitment = build_context(StorageCommitmentPushModel)
    commitment.scu_role = commitment.scp_role = True
    return [
        build_context(Verification),
        *storage,
        commitment,
        build_context(InstanceAvailabilityNotification),
        build_context(UnifiedProcedureStepEvent),
    ]
