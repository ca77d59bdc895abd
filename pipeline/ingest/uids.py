"""What is taken for a UID, before it names a series, a file or anything on a page.

References
----------
.. [P9] DICOM PS3.5, 9 Unique Identifiers.
"""

import re

UID = re.compile(r"(?=.{1,64}$)[0-9]+(?:\.[0-9]+)*")
"""A UID [P9]_; components with a leading zero, which are forbidden and are written, are let in."""


def is_uid(text: str) -> bool:
    """Tell whether a text is a UID [P9]_: never a name of a folder such as two dots."""
    return UID.fullmatch(text) is not None
