"""Write the bills of materials of a release: CycloneDX 1.6, one of the product, one of each model.

::

    python -m release.sbom [--output dist]

The product's bill holds the Python packages that serve (those of ``requirements.lock``, as they are
installed here, with their licences), each with the native files that it brings, and the packages of
the page; those that only build it have the scope ``excluded``. The bills of the models are those of
``vesalius models sbom``. Nothing in them is drawn or asks the clock: two calls on one commit and
one machine give the same bytes. They lie beside the release, not in the wheel: the wheel does not
say what it is installed with.
"""

import argparse
import json
import subprocess
import sys
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pipeline import __version__
from pipeline.identity import digest_bytes
from pipeline.infer.bundle import load_bundle
from pipeline.mlbom import ml_bom
from release.lock import canonical, versions_in
from release.wheel import time_of

ROOT = Path(__file__).parents[1]

NAMESPACE = UUID("b4a0a9d0-6f0e-5a43-8a55-2f6b1d5c9e02")
"""Namespace of the serial numbers: one for each content."""

MODELS = ("perfusion", "phases", "reconstruction")
"""The models that ship."""

ELF = b"\x7fELF"
"""How a native file begins."""

Json = dict[str, Any]


def main() -> int:
    """Write the bills, each held against the schema before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the bills")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    bills = {f"vesalius-{__version__}.cdx.json": product_bill()}
    for name in MODELS:
        bundle = load_bundle(ROOT / "models" / name / "bundle")
        bills[f"vesalius-{__version__}-{name}.cdx.json"] = ml_bom(bundle)
    for name, bill in bills.items():
        text = json.dumps(bill, indent=2) + "\n"
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        if problem is not None:
            print(f"{name}: {problem}", file=sys.stderr)
            return 1
        (output / name).write_text(text, encoding="utf-8")
        print(f"{output / name}: {len(bill['components'])} components")
    return 0


def product_bill() -> Json:
    """Return the bill of the product."""
    bill = _environment()
    serving = versions_in((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    packages = [each for each in bill["components"] if canonical(each["name"]) in serving]
    for package in packages:
        _without_places(package)
        files = native_files(package["name"])
        if files:
            package["components"] = files
    page = list(page_packages(json.loads((ROOT / "page" / "package-lock.json").read_text())))
    bill["components"] = [*packages, *page]
    root = bill["metadata"]["component"]
    _without_places(root)
    kept = {each["bom-ref"] for each in bill["components"]} | {root["bom-ref"]}
    bill["dependencies"] = [
        {"ref": each["ref"], "dependsOn": sorted(kept & set(each.get("dependsOn", ())))}
        for each in bill["dependencies"]
        if each["ref"] in kept
    ]
    _depend_on(bill["dependencies"], root["bom-ref"], [p["bom-ref"] for p in page])
    at = datetime.fromtimestamp(time_of("HEAD"), tz=UTC)
    bill["metadata"]["timestamp"] = at.isoformat().replace("+00:00", "Z")
    content = digest_bytes(json.dumps(bill, sort_keys=True).encode())
    return {**bill, "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, content)}"}


def _environment() -> Json:
    """Return the bill of what is installed here, as ``cyclonedx-py`` tells it."""
    words = ["environment", "--spec-version", "1.6", "--output-format", "JSON"]
    words += [
        "--no-validate",
        "--output-reproducible",
        "--mc-type",
        "application",
        "--pyproject",
        "pyproject.toml",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words, sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    bill: Json = json.loads(done.stdout)
    return bill


def _without_places(component: Json) -> None:
    """Take away where packages came from: a machine's own mirror says nothing to others."""
    component.pop("externalReferences", None)


def native_files(name: str) -> list[Json]:
    """Return the native files that an installed package brings, by its own record."""
    found = []
    for file in distribution(name).files or ():
        place = Path(str(file.locate()))
        if file.hash is None or not _is_native(place):
            continue
        digest = urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4))
        found.append(
            {
                "type": "file",
                "bom-ref": f"{canonical(name)}/{file.as_posix()}",
                "name": file.as_posix(),
                "hashes": [{"alg": "SHA-256", "content": digest.hex()}],
            }
        )
    return sorted(found, key=lambda each: str(each["name"]))


def _is_native(path: Path) -> bool:
    """Tell whether a file is a native library or program."""
    try:
        with path.open("rb") as file:
            return file.read(len(ELF)) == ELF
    except OSError:
        return False


def page_packages(lock: Mapping[str, Any]) -> Iterator[Json]:
    """Yield the packages of the page's lock."""
    for place, package in sorted(lock["packages"].items()):
        if not place or "version" not in package:
            continue
        name, version = place.rpartition("node_modules/")[2], package["version"]
        kind, _, encoded = package.get("integrity", "").partition("-")
        component: Json = {
            "type": "library",
            "bom-ref": f"npm:{place}",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}",
            "scope": "excluded" if package.get("dev") or package.get("optional") else "required",
        }
        if kind == "sha512":
            content = b64decode(encoded).hex()
            component["hashes"] = [{"alg": "SHA-512", "content": content}]
        if "license" in package:
            component["licenses"] = [{"expression": package["license"]}]
        yield component


def _depend_on(dependencies: list[Json], ref: str, others: list[str]) -> None:
    """Have a component depend on others, which depend on nothing that is known."""
    own = next((each for each in dependencies if each["ref"] == ref), None)
    if own is None:
        own = {"ref": ref, "dependsOn": []}
        dependencies.append(own)
    own["dependsOn"] = sorted({*own["dependsOn"], *others})
    dependencies += [{"ref": other} for other in others]


if __name__ == "__main__":
    raise SystemExit(main())
