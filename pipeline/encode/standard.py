"""What the standard's tables ask of an object: attributes of the mandatory modules of its IOD.

The tables of PS3.3 come with highdicom. Types 1 and 2 are judged; types 1C and 2C are not, since
their conditions are prose. Where one module gives an attribute several types, the mildest counts;
where several modules do, the strictest.

References
----------
.. [A1] DICOM PS3.3, A.1.3 IOD module tables; PS3.5, 7.4 data element types.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

# The module is private to highdicom: nothing else of it is touched here.
from highdicom import _standard_utils as tables
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import STR_VR

ANY_IOD = ("patient", "general-study", "sop-common")
"""Modules that an object has whose SOP class the tables do not know."""

CONTENT = "sr-document-content"
"""The module of content items, whose attributes depend on each item's value type."""

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Sequences of macros that each IOD chooses from: only those that are there are judged."""

_MILDEST = ("3", "2C", "1C", "2", "1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lack:
    """An attribute that is not as its module asks."""

    path: tuple[str, ...]
    """Where: keywords of sequences, with the number of the item."""

    keyword: str
    """Which."""

    kind: str
    """Its type: 1 or 2."""

    is_empty: bool
    """Whether it is there, without a value."""

    module: str
    """The module that asks for it."""


@dataclass(kw_only=True, slots=True)
class _Node:
    """An attribute in the tables, with those of its items."""

    kind: str = "3"
    module: str = ""
    items: dict[str, "_Node"] = field(default_factory=dict)


def is_known(sop_class_uid: str) -> bool:
    """Tell whether the tables know the IOD of a SOP class."""
    return sop_class_uid in tables.get_sop_class_iod_map()


def lacks(dataset: Dataset) -> Iterator[Lack]:
    """Yield what an object lacks of the mandatory modules of its IOD [A1]_.

    Parameters
    ----------
    dataset
        The object.
    """
    uid = str(dataset.get("SOPClassUID", ""))
    yield from _lacks(dataset, _tree(uid), ())


def is_empty(dataset: Dataset, keyword: str) -> bool:
    """Tell whether an attribute that is there has no value."""
    element = dataset.get_item(tag_for_keyword(keyword) or 0)
    if isinstance(element, RawDataElement):
        value = element.value or b""
        vr = element.VR or dictionary_VR(element.tag)
        return not (value.strip(b" \0") if vr in STR_VR else value)
    return bool(element.is_empty)


def _lacks(dataset: Dataset, nodes: dict[str, _Node], path: tuple[str, ...]) -> Iterator[Lack]:
    """Yield what a data set or an item lacks."""
    for keyword, node in nodes.items():
        there = keyword in dataset
        empty = there and is_empty(dataset, keyword)
        if (node.kind == "1" and (not there or empty)) or (node.kind == "2" and not there):
            yield Lack(
                path=path, keyword=keyword, kind=node.kind, is_empty=empty, module=node.module
            )
        if there and not empty and node.items and dataset[keyword].VR == "SQ":
            for number, item in enumerate(dataset[keyword].value, start=1):
                yield from _lacks(item, node.items, (*path, f"{keyword}[{number}]"))


def kind_of(sop_class_uid: str, path: Sequence[str], keyword: str) -> str | None:
    """Return the type of an attribute in an IOD, of any module: 1, 1C, 2, 2C or 3.

    Parameters
    ----------
    sop_class_uid
        The SOP class.
    path
        Keywords of the sequences around the attribute.
    keyword
        Its keyword.

    Returns
    -------
    str or None
        None where the tables have no such attribute.
    """
    nodes = _whole_tree(sop_class_uid)
    for part in path:
        if part not in nodes:
            return None
        nodes = nodes[part].items
    return nodes[keyword].kind if keyword in nodes else None


@lru_cache(maxsize=64)
def _tree(sop_class_uid: str) -> dict[str, _Node]:
    """Return the attributes of types 1 and 2 of an IOD's mandatory modules."""
    return _pruned(_joined(_modules(sop_class_uid, ("M",)))).items


@lru_cache(maxsize=8)
def _whole_tree(sop_class_uid: str) -> dict[str, _Node]:
    """Return all attributes of an IOD."""
    return _joined(_modules(sop_class_uid, ("M", "C", "U"))).items


def _modules(sop_class_uid: str, usages: Sequence[str]) -> Sequence[str]:
    """Return the modules of an IOD that are used so, without that of content items."""
    name = tables.get_sop_class_iod_map().get(sop_class_uid)
    if name is None:
        return ANY_IOD
    listed = tables.get_iod_module_map()[name]
    return [m["key"] for m in listed if m["usage"] in usages and m["key"] != CONTENT]


def _joined(modules: Sequence[str]) -> _Node:
    """Return the attributes of modules."""
    root = _Node()
    for module in modules:
        one = _Node()
        for row in tables.get_module_attribute_map()[module]:
            _add(one, row["path"], row["keyword"], (row["type"], module))
        _merge(root, one)
    for keyword in FUNCTIONAL_GROUPS:
        if keyword in root.items:
            for group in root.items[keyword].items.values():
                group.kind = "3"
    return root


def _add(root: _Node, path: Sequence[str], keyword: str, kind: tuple[str, str]) -> None:
    """Add a row of a table."""
    node = root
    for part in path:
        node = node.items.setdefault(part, _Node())
    known = node.items.get(keyword)
    if known is None:
        node.items[keyword] = _Node(kind=kind[0], module=kind[1])
    elif _rank(kind[0]) < _rank(known.kind):
        known.kind, known.module = kind


def _merge(root: _Node, other: _Node) -> None:
    """Add one module's attributes to those of others."""
    for keyword, node in other.items.items():
        known = root.items.get(keyword)
        if known is None:
            root.items[keyword] = node
            continue
        # A module that wants a value wins over one that also lists the attribute.
        if _rank(node.kind) > _rank(known.kind):
            known.kind, known.module = node.kind, node.module
        _merge(known, node)


def _rank(kind: str) -> int:
    """Return how much a type asks for."""
    return _MILDEST.index(kind) if kind in _MILDEST else 0


def _pruned(node: _Node) -> _Node:
    """Return a tree without what asks for nothing."""
    node.items = {
        keyword: kept
        for keyword, child in node.items.items()
        if (kept := _pruned(child)).kind in ("1", "2") or kept.items
    }
    return node
