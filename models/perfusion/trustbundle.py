"""The calibration of trust in the bundle: in its metadata, as long as it is of the same pool."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.analyses.perfusion.networks import pool_digest
from pipeline.infer.bundle import load_bundle, write_file_list

BUNDLE = Path(__file__).parent / "bundle"
"""The bundle."""

TRUST = Path(__file__).parent / "trust.json"
"""The calibration that ships."""


def put_trust(bundle: Path, trust: Path = TRUST) -> bool:
    """Write the calibration into a bundle whose list of files is right, or leave it out.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    trust
        The calibration.

    Returns
    -------
        Whether it is in now: one that is not there, or was made with other members, is not.
    """
    document = json.loads(trust.read_text(encoding="utf-8")) if trust.is_file() else None
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    fits = isinstance(document, Mapping) and document["pool"] == pool_digest(load_bundle(bundle))
    metadata["vesalius"].pop("trust", None)
    if fits:
        metadata["vesalius"]["trust"] = document
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    write_file_list(bundle)
    return fits
