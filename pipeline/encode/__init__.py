"""From results to the objects that clinicians' tools read: SEG, parametric map, SR, SC, NIfTI, figures."""
