"""What clinicians' tools read: DICOM objects, NIfTI twins and figures of a result."""
