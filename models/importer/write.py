"""Write a bundle of ours: manifest, declaration, graph, and where they come from."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from models.importer.compare import Comparison, told
from models.importer.network import Exported
from models.importer.source import Source
from pipeline.errors import BundleRejected
from pipeline.infer.bundle import write_file_list

TEXTS = {
    "version": "0.0.0",
    "task": "Imported model",
    "description": "Imported from a MONAI bundle.",
    "authors": "not stated",
    "copyright": "not stated",
}
"""What stands where the bundle states nothing."""


def write_bundle(
    folder: Path,
    source: Source,
    manifest: Mapping[str, object],
    made: tuple[Mapping[str, object], Exported, Comparison],
) -> str:
    """Write a bundle and return its digest.

    Parameters
    ----------
    folder
        Where it goes; it must not exist.
    source
        Where it comes from.
    manifest
        The site's manifest.
    made
        Declaration, network, and how both sides compare.

    Raises
    ------
    BundleRejected
        If the folder exists.
    """
    declaration, network, comparison = made
    working = folder.with_name(f".{folder.name}-unfinished")
    if folder.exists():
        raise BundleRejected(f"{folder}: exists already; a bundle is never overwritten")
    shutil.rmtree(working, ignore_errors=True)
    for name in ("configs", "models", "docs"):
        (working / name).mkdir(parents=True)
    (working / "models" / "network.onnx").write_bytes(network.graph)
    document = {
        **_described(source, str(manifest["name"])),
        "vesalius": {
            "bundled": dict(manifest),
            "declaration": declaration,
            "network": dict(network.contract),
            "imported": {
                "source_digest": source.digest,
                "form": network.form,
                "custom_python": source.is_trusted,
                "compared": comparison.to_json(),
            },
        },
    }
    (working / "configs" / "metadata.json").write_text(
        json.dumps(document, indent=2) + "\n", encoding="utf-8"
    )
    (working / "docs" / "README.md").write_text(_card(source, network, comparison), "utf-8")
    (working / "LICENSE").write_text(_license(source), encoding="utf-8")
    digest = write_file_list(working)
    working.rename(folder)
    return digest


def _described(source: Source, name: str) -> dict[str, str]:
    """Return what the bundle says of the model as a whole."""
    found = {"name": name}
    for key, default in {"name": name, **TEXTS}.items():
        value = source.metadata.get(key)
        found[key] = value.strip() if isinstance(value, str) and value.strip() else default
    # Names and versions of a bundle stand in DICOM attributes of at most 64 characters.
    found["name"], found["version"] = found["name"][:64], found["version"][:16]
    return found


def _card(source: Source, network: Exported, comparison: Comparison) -> str:
    """Return the model card: the source's own, and what the import found."""
    head = (
        f"# Imported model\n\nMade of a MONAI bundle with the digest {source.digest}, whose "
        f"network came as {network.form}. Against MONAI's own inference on one sample: "
        f"{told(comparison.to_json())}.\n"
    )
    own = source.folder / "docs" / "README.md"
    return head + ("\n" + own.read_text("utf-8", "replace") if own.is_file() else "")


def _license(source: Source) -> str:
    """Return the licence that came with the model."""
    for place in ("LICENSE", "docs/LICENSE", "docs/license.txt"):
        if (source.folder / place).is_file():
            return (source.folder / place).read_text("utf-8", "replace")
    return "The bundle that this one was made of came without a licence file.\n"
