"""What an ONNX file may contain, checked on its bytes before any runtime sees them.

An ONNX file is a protocol buffer. This reads its skeleton (onnx.proto of ONNX IR 10): the operator
set that it is made for, its nodes with the domain of each, in branches and loops, too, and its
tensors. These are refused:

- operators outside the standard. Those that ONNX Runtime has beside it (``com.microsoft``) have no
  version of their own and may mean another thing in its next release; all others need a library,
  which would be code that the bundle brings. There is no setting for either.
- operators that the file itself defines: they may take the name of a standard one.
- tensors whose data lie in another file, which a digest of this file does not cover.
- a few bytes that stand for much: tensors that claim more values than they hold, sparse tensors and
  constant shapes (``ConstantOfShape``, ``Expand``, ``Tile``, ``RandomNormal``) of huge results.
- operator sets before 7, of which ONNX Runtime promises nothing; a later one than it knows, it
  refuses itself.

Sizes that a graph computes from its input are not seen here; nor is anything else judged, the
runtime checks the graph itself.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BundleRejected
from pipeline.infer.onnxsizes import Claims, check_sparse, check_tensor
from pipeline.infer.protobuf import fields

STANDARD_DOMAINS = frozenset({b"", b"ai.onnx"})
"""Operator domains that ONNX Runtime implements without custom code."""

FIRST_OPSET = 7
"""The oldest operator set that is accepted."""

DEEPEST_NESTING = 24
"""Messages inside messages: a graph within a branch of a loop of a graph needs ten."""

MOST_MESSAGES = 1_000_000
"""Nodes, attributes and tensors of a file. The largest network here has some two thousand."""

LARGEST_BYTES = 2**31 - 1
"""Size of a file: protocol buffers hold no more [bytes]."""

# Which fields of a message hold messages that are looked into, and of which kind.
_CHILDREN = {
    "model": {7: "graph", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NODE_DOMAIN, _EXTERNAL_DATA, _DATA_LOCATION = 7, 13, 14
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 7, 8, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2


@dataclass(kw_only=True, slots=True)
class _File:
    """A file that is looked through."""

    path: Path
    """Names it in messages."""

    messages: int = 0
    """Messages that were looked at."""

    claims: Claims = field(default_factory=Claims)
    """What nodes make of constants alone."""


def check_onnx(path: Path, content: bytes) -> None:
    """Check that a model stands alone and uses standard operators only.

    Parameters
    ----------
    path
        Names the file in messages.
    content
        Its bytes.

    Raises
    ------
    BundleRejected
        If it is no ONNX file, keeps data in another file, uses a foreign operator or one of its
        own, or claims to be more than it holds.
    """
    found = list(fields(path, memoryview(content)))
    numbers = [number for number, _ in found]
    if _MODEL_GRAPH not in numbers:
        raise BundleRejected(f"{path}: not an ONNX file, it has no graph")
    if _MODEL_FUNCTION in numbers:
        raise BundleRejected(f"{path}: operators of its own: export the model with them inlined")
    _check_opsets(path, [v for n, v in found if n == _MODEL_OPSET and isinstance(v, memoryview)])
    file = _File(path=path)
    _check_message(file, "model", memoryview(content), 0)
    file.claims.check(path)


def _check_opsets(path: Path, imports: list[memoryview]) -> None:
    """Check the version of the standard operators; that of others does not matter."""
    versions = []
    for content in imports:
        named = dict(fields(path, content))
        domain, version = named.get(_OPSET_DOMAIN, b""), named.get(_OPSET_VERSION, 0)
        if not isinstance(domain, int) and bytes(domain) in STANDARD_DOMAINS:
            versions.append(version)
    if len(versions) > 1:
        raise BundleRejected(f"{path}: {len(versions)} versions of the standard operators")
    for version in versions:
        if not isinstance(version, int) or version < FIRST_OPSET:
            raise BundleRejected(
                f"{path}: operator set {version}, needed is {FIRST_OPSET} or later"
            )


def _check_message(file: _File, kind: str, content: memoryview, depth: int) -> None:
    """Check one message and those inside it."""
    file.messages += 1
    if depth > DEEPEST_NESTING:
        raise BundleRejected(f"{file.path}: nested more than {DEEPEST_NESTING} deep")
    if file.messages > MOST_MESSAGES:
        raise BundleRejected(f"{file.path}: more than {MOST_MESSAGES} nodes and tensors")
    for number, value in fields(file.path, content):
        if kind == "tensor":
            _check_tensor_field(file.path, number, value)
        elif number in _CHILDREN[kind] and isinstance(value, memoryview):
            _check_message(file, _CHILDREN[kind][number], value, depth + 1)
    _check_whole(file, kind, content)


def _check_whole(file: _File, kind: str, content: memoryview) -> None:
    """Check what a message says with several of its fields."""
    if kind == "tensor":
        check_tensor(file.path, content, file.claims)
    elif kind == "sparse":
        check_sparse(file.path, content)
    elif kind == "node":
        for number, value in fields(file.path, content):
            if number == _NODE_DOMAIN and not isinstance(value, int):
                _check_domain(file.path, bytes(value))
        file.claims.see(file.path, content)


def _check_domain(path: Path, domain: bytes) -> None:
    """Refuse an operator that is not of the standard."""
    if domain not in STANDARD_DOMAINS:
        raise BundleRejected(f"{path}: operator of the foreign domain {domain!r}")


def _check_tensor_field(path: Path, number: int, value: memoryview | int) -> None:
    """Refuse a tensor whose data lie elsewhere."""
    if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
        raise BundleRejected(f"{path}: a tensor keeps its data in another file")
