"""What this installation says that it is, in files and associations.

References
----------
.. [P37] DICOM PS3.7, D.3.3.2, Implementation Identification.
"""

from pipeline import __version__
from pipeline.identity import JOB_NAMESPACE, derived_uid

IMPLEMENTATION_CLASS_UID = derived_uid(JOB_NAMESPACE, "implementation")
"""Implementation Class UID (0002,0012) [P37]_."""

IMPLEMENTATION_VERSION_NAME = f"VESALIUS_{__version__}"[:16]
"""Implementation Version Name (0002,0013): the same for a person, 1 to 16 characters [P37]_."""
