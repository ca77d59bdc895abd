"""JSON files among a job's artifacts, read with care: another version may have written them."""

import json
from collections.abc import Iterator, Mapping

from pipeline.ledger.reviewlist import ResultJob

Json = Mapping[str, object]
"""An object of JSON."""


def json_file(job: ResultJob, kind: str) -> Json | None:
    """Return the JSON object that an artifact of some kind holds; None if there is none."""
    for artifact in job.artifacts:
        if artifact.kind == kind and artifact.relative_path.endswith(".json") and job.folder:
            try:
                found = json.loads((job.folder / artifact.relative_path).read_text("utf-8"))
            except (OSError, ValueError):
                return None
            return found if isinstance(found, dict) else None
    return None


def items(of: Json, key: str) -> Iterator[Json]:
    """Yield the objects of a list."""
    value = of.get(key)
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            yield item


def number(of: Json, key: str) -> float | None:
    """Return a number; None if it is none."""
    value = of.get(key)
    return float(value) if isinstance(value, int | float) else None


def text(of: Json, key: str) -> str:
    """Return a text; an empty one if there is none."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def table(of: Json, key: str) -> Json:
    """Return an object; an empty one if there is none."""
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def numbers(of: Json, key: str) -> tuple[float | None, ...]:
    """Return a list of numbers, None where one is none."""
    value = of.get(key)
    found = value if isinstance(value, list) else []
    return tuple(float(each) if isinstance(each, int | float) else None for each in found)


def texts(of: Json, key: str) -> tuple[str | None, ...]:
    """Return a list of texts, None where one is none."""
    value = of.get(key)
    found = value if isinstance(value, list) else []
    return tuple(each if isinstance(each, str) else None for each in found)
