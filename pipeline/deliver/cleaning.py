"""Clean a data set, at every depth, by the table of the confidentiality profile.

The table says X (remove), Z (empty), D (dummy), U (map) or several of them; which of several is
taken depends on the type of the attribute in its IOD. Beyond the table, every private attribute,
every person name, date, time, UID and comment, and all of group 0010 is treated. Free text of a
content tree is replaced unless it is of a form that this software writes.

References
----------
.. [E11] DICOM PS3.15, table E.1-1, E.3.4 Clean Structured Content Option.
"""

import re
from collections import Counter
from functools import lru_cache

from dicomanonymizer.simpledicomanonymizer import initialize_actions
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from pipeline.deliver.pseudonyms import Pseudonyms
from pipeline.encode.context import UNKNOWN_DATE, UNKNOWN_TIME
from pipeline.encode.standard import kind_of

TABLE = "dicomfields_2026c"
"""Edition of the table that dicom-anonymizer carries."""

REMOVED, EMPTIED, REPLACED, MAPPED, KEPT = "removed", "emptied", "replaced", "mapped", "kept"
MANNER = (REMOVED, EMPTIED, REPLACED, MAPPED, KEPT)
"""What is done to an attribute."""

ACTIONS = {
    "replace": "D",
    "empty": "Z",
    "delete": "X",
    "replace_UID": "U",
    "empty_or_replace": "ZD",
    "delete_or_empty": "XZ",
    "delete_or_replace": "XD",
    "delete_or_empty_or_replace": "XZD",
    "delete_or_empty_or_replace_UID": "U",
}
"""Letters of the table, by the names that the library gives them. The last is of sequences of
references, which stay, with their UIDs mapped."""

DUMMY = {
    "AE": "ANONYMIZED",
    "AS": "000Y",
    "AT": 0,
    "CS": "ANONYMIZED",
    "DA": UNKNOWN_DATE,
    "DS": "0",
    "DT": f"{UNKNOWN_DATE}{UNKNOWN_TIME}",
    "IS": "0",
    "TM": UNKNOWN_TIME,
    "UR": "http://anonymized.invalid",
}
DUMMY |= dict.fromkeys(("LO", "LT", "PN", "SH", "ST", "UC", "UT"), "ANONYMIZED")
DUMMY |= dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0)
DUMMY |= dict.fromkeys(("OB", "OW", "UN"), b"\0\0")
DUMMY |= dict.fromkeys(("OD", "OF", "OL", "OV"), b"\0" * 8)
"""Values that say nothing, by VR."""

PERSONAL = frozenset({"PN", "DA", "DT", "TM"})
"""VRs that are treated also where the table has no line."""

PATIENT_GROUP = 0x0010
"""Group of patients: the table lacks the birth date in another calendar, for one."""

CONTACTS = frozenset({"ContactURI", "ContactDisplayName", "OwnerID"})
"""Attributes that name somebody, and that the table lacks."""

STANDARD_UIDS = frozenset(
    {
        "SOPClassUID",
        "ReferencedSOPClassUID",
        "TransferSyntaxUID",
        "CodingSchemeUID",
        "ContextUID",
        "MappingResourceUID",
        "ContextGroupExtensionCreatorUID",
        "OriginalSpecializedSOPClassUID",
        "RelatedGeneralSOPClassUID",
        "AvailableTransferSyntaxUID",
        "EncryptedContentTransferSyntaxUID",
        "MACCalculationTransferSyntaxUID",
        "PrivateDataElementDefinitionSequence",
    }
)
"""UIDs of classes, syntaxes and schemes, which name nobody."""

OWN_TEXT = re.compile(
    r"(myocardium|blood_pool) slice \d{1,4}"
    r"|chosen member: (member_\d{1,3}|None)"
    r"|U_pp of member_\d{1,3}: (\d{1,3}(\.\d{1,8})?(e-?\d{1,3})?|inf)"
    r"|network|counts|Vesalius"
)
"""Text of content items that this software writes, and that names nobody."""

_ALWAYS_REMOVED = frozenset({0xFFFCFFFC, 0x04000500, 0xFFFAFFFA, 0x04000561})
"""Padding, encrypted attributes, digital signatures, original attributes."""

_CONTENT = "ContentSequence"


class Cleaner:
    """Cleans one object, and counts what it does."""

    def __init__(self, pseudonyms: Pseudonyms, sop_class_uid: str) -> None:
        self.counts: Counter[tuple[int, str]] = Counter()
        self._pseudonyms = pseudonyms
        self._sop_class_uid = sop_class_uid

    def clean(self, dataset: Dataset) -> None:
        """Clean an object in place [E11]_.

        Parameters
        ----------
        dataset
            The object.
        """
        identity = "/".join(str(dataset.get(k, "")) for k in ("PatientID", "IssuerOfPatientID"))
        pseudonym = self._pseudonyms.patient(identity.strip("/"))
        self._clean(dataset, ())
        for keyword in ("PatientID", "PatientName"):
            if keyword in dataset:
                setattr(dataset, keyword, pseudonym)

    def _clean(self, dataset: Dataset, path: tuple[str, ...]) -> None:
        """Clean a data set or an item."""
        for tag in sorted(dataset.keys()):
            manner = self._treat(dataset, tag, path)
            self.counts[(int(tag), manner)] += 1

    def _treat(self, dataset: Dataset, tag: BaseTag, path: tuple[str, ...]) -> str:
        """Treat one element, and return what was done."""
        if tag.is_private or int(tag) in _ALWAYS_REMOVED or tag.group & 0xFF00 in (0x5000, 0x6000):
            del dataset[tag]
            return REMOVED
        element = dataset[tag]
        if element.VR == "UN":
            del dataset[tag]
            return REMOVED
        if element.keyword == _CONTENT:
            return self._treat_content(element, path)
        if element.VR == "UI":
            return self._map(element)
        action = _table().get((tag.group, tag.element), "")
        if not action and _is_personal(element):
            action = "XZD"
        if element.VR == "SQ" and action in ("", "U"):
            self._descend(element, path)
            return KEPT
        return self._act(dataset, element, path, action)

    def _act(
        self, dataset: Dataset, element: DataElement, path: tuple[str, ...], action: str
    ) -> str:
        """Do what the table says, by the type of the attribute in its IOD."""
        if not action:
            return KEPT
        kind = kind_of(self._sop_class_uid, path, element.keyword)
        if action == "D" or kind in ("1", "1C") or (kind is None and action.endswith("D")):
            self._replace(element)
            return REPLACED
        if action[0] == "Z" or kind in ("2", "2C"):
            element.value = [] if element.VR == "SQ" else None
            return EMPTIED
        del dataset[element.tag]
        return REMOVED

    def _replace(self, element: DataElement) -> None:
        """Give an element a value that says nothing; one without a value keeps none."""
        if element.is_empty:
            return
        if element.VR == "SQ":
            for item in element.value:
                self._hollow(item)
        elif element.VR == "UI":
            self._map(element)
        else:
            element.value = DUMMY[element.VR]

    def _hollow(self, item: Dataset) -> None:
        """Give every element of an item a value that says nothing."""
        for tag in sorted(item.keys()):
            if tag.is_private:
                del item[tag]
            else:
                self._replace(item[tag])

    def _map(self, element: DataElement) -> str:
        """Map UIDs that name an instance, a series, a device and the like."""
        if element.keyword in STANDARD_UIDS or element.is_empty:
            return KEPT
        if isinstance(element.value, MultiValue):
            element.value = [self._pseudonyms.uid(str(uid)) for uid in element.value]
        else:
            element.value = self._pseudonyms.uid(str(element.value))
        return MAPPED

    def _descend(self, element: DataElement, path: tuple[str, ...]) -> None:
        """Clean the items of a sequence."""
        for item in element.value:
            self._clean(item, (*path, element.keyword))

    def _treat_content(self, element: DataElement, path: tuple[str, ...]) -> str:
        """Clean a level of a content tree: text is replaced, unless it is of our own form."""
        for item in element.value:
            text = item.get("TextValue")
            if text is not None and OWN_TEXT.fullmatch(str(text)) is None:
                item.TextValue = DUMMY["UT"]
                self.counts[(0x0040A160, REPLACED)] += 1
            self._clean(item, (*path, _CONTENT))
        return KEPT


def _is_personal(element: DataElement) -> bool:
    """Tell whether an attribute that the table has no line for is of somebody all the same."""
    return (
        element.VR in PERSONAL
        or element.tag.group == PATIENT_GROUP
        or "Comment" in element.keyword
        or element.keyword in CONTACTS
    )


@lru_cache(maxsize=1)
def _table() -> dict[tuple[int, int], str]:
    """Return the letters of the table, by group and element; repeating groups go as a whole."""
    actions = initialize_actions(TABLE)
    found = {tag: ACTIONS[action.__name__] for tag, action in actions.items() if len(tag) == 2}
    return {
        tag: letters
        for tag, letters in found.items()
        # Content trees are cleaned item by item; UIDs are treated by what they are.
        if keyword_for_tag(tag) not in (_CONTENT, "TextValue")
    }
