"""The bill of materials of a model: what a bundle is made of, from what data, with which licence.

CycloneDX 1.6 (ECMA-424), with the model as a ``machine-learning-model`` and its model card. All of
it is what the bundle itself says, and the digests of its files; two calls give the same bytes, so
that a bill may be compared. It is written without a library, since serving needs none for it; the
tests hold it against the schema.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from pipeline.infer.bundle import METADATA, Bundle
from pipeline.infer.filelist import FILE_LIST, read_json
from pipeline.trust import signature_of

NAMESPACE = UUID("0c0b0f7e-6d7b-5c2e-9a52-6a1f3f0b7d11")
"""Namespace of the serial numbers: one for each bundle."""

SPECIFICATION = "1.6"
"""Version of CycloneDX."""

Json = dict[str, object]


def ml_bom(bundle: Bundle) -> Json:
    """Return the bill of materials of a bundle, as JSON values.

    Raises
    ------
    BundleRejected
        If its list, its metadata or its signature cannot be read.
    """
    document = read_json(bundle.folder / METADATA)
    files = _files(bundle)
    packages = _packages(document)
    model = _model(bundle, document)
    refs = [str(part["bom-ref"]) for part in (*files, *packages)]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, bundle.digest)}",
        "version": 1,
        "metadata": {"component": model},
        "components": [*files, *packages, *_data(document)],
        "dependencies": [
            {"ref": str(model["bom-ref"]), "dependsOn": sorted(refs)},
            *({"ref": ref} for ref in sorted(refs)),
        ],
    }


def _model(bundle: Bundle, document: Mapping[str, object]) -> Json:
    """Return the component that the bill is of."""
    licence = (bundle.folder / "LICENSE").read_text(encoding="utf-8", errors="replace").strip()
    signature = signature_of(bundle.folder)
    told = {"vesalius:bundle:digest": bundle.digest}
    if signature is not None:
        told["vesalius:bundle:signature:key"] = signature.key_id
    for number, reference in enumerate(_texts(document.get("references")), 1):
        told[f"vesalius:bundle:reference:{number}"] = reference
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{bundle.digest}",
        "name": bundle.name,
        "version": bundle.version,
        "description": bundle.metadata.description,
        "authors": [{"name": bundle.metadata.authors}],
        "copyright": bundle.metadata.copyright,
        "licenses": [{"license": {"name": "LICENSE of the bundle", "text": {"content": licence}}}],
        "modelCard": _card(bundle, document),
        "properties": [{"name": name, "value": value} for name, value in told.items()],
    }


def _card(bundle: Bundle, document: Mapping[str, object]) -> Json:
    """Return the model card: what it is for, from what data, what goes in and out, its limits."""
    readme = (bundle.folder / "docs" / "README.md").read_text(encoding="utf-8", errors="replace")
    parameters: Json = {
        "task": bundle.metadata.task,
        "datasets": [{"ref": str(part["bom-ref"])} for part in _data(document)],
    }
    shapes = document.get("network_data_format")
    for side in ("inputs", "outputs"):
        tensors = shapes.get(side) if isinstance(shapes, dict) else None
        if isinstance(tensors, dict):
            parameters[side] = [{"format": _format(name, of)} for name, of in tensors.items()]
    uses = _texts(document.get("intended_use"))
    limits = _section(readme, "Limits")
    considerations: Json = {}
    if uses:
        considerations["useCases"] = uses
    if limits:
        considerations["technicalLimitations"] = [limits]
    return {"modelParameters": parameters, "considerations": considerations}


def _files(bundle: Bundle) -> list[Json]:
    """Return the files of a bundle; its networks are models themselves."""
    listed = read_json(bundle.folder / FILE_LIST)["files"]
    found: list[Json] = []
    for path, sha256 in sorted(listed.items()) if isinstance(listed, dict) else ():
        is_network = PurePosixPath(path).suffix == ".onnx"
        found.append(
            {
                "type": "machine-learning-model" if is_network else "file",
                "bom-ref": f"file:{path}",
                "name": path,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
        )
    return found


def _packages(document: Mapping[str, object]) -> list[Json]:
    """Return the packages that the metadata say it needs."""
    needed = document.get("required_packages_version")
    return [
        {
            "type": "library",
            "bom-ref": f"package:{name}",
            "name": name,
            "version": str(version),
            "purl": f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}",
            "description": "the least version that serves it",
        }
        for name, version in (sorted(needed.items()) if isinstance(needed, dict) else ())
    ]


def _data(document: Mapping[str, object]) -> list[Json]:
    """Return what it was trained on, as far as the metadata say."""
    sources = _texts(document.get("data_source"))
    return [
        {
            "type": "data",
            "bom-ref": f"data:{number}",
            "name": source,
            "data": [{"type": "dataset", "name": source}],
        }
        for number, source in enumerate(sources, 1)
    ]


def _format(name: str, of: object) -> str:
    """Return a tensor in words: its name, type, channels and shape."""
    if not isinstance(of, dict):
        return name
    words = [str(of[key]) for key in ("dtype", "modality", "format") if of.get(key)]
    shape = [of.get("num_channels"), *(of.get("spatial_shape") or [])]
    return f"{name}: {' '.join(words)} ({', '.join(str(length) for length in shape)})"


def _section(readme: str, title: str) -> str:
    """Return the text of a section of a model card; empty if there is none."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def _texts(value: object) -> list[str]:
    """Return a text, or a list of texts, as a list."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]
