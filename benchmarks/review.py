"""How long the worklist takes with 10,000 results: from a ledger without an index, and after.

    python -m benchmarks.review [--rows N]

The results have no files: what reading a header takes is told apart, from a generated study.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np

from pipeline.config import Configuration
from pipeline.demo import write_study
from pipeline.identity import digest_bytes
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import Job, Series, Study
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.review.headers import SAID, read_header
from pipeline.reviewsettings import ReviewSettings
from tests.support.reviewserver import Served, serving

QUERIES = {
    "first 100, by uncertainty": "?limit=100",
    "rows 9,900 to 10,000, by date": "?limit=100&offset=9900&order=date",
    "one analysis that needs review": "?limit=100&analysis=perfusion&review=open",
    "full text, one hit": "?limit=100&text=pool7777",
    "all rows": "?limit=10000",
}
REPEATS = 5
SEGMENTS = [{"segment": 1, "name": "upslope", "value": n / 7, "unit": "1"} for n in range(150)]


def fill(ledger: Ledger, rows: int) -> None:
    """Add results to a ledger."""
    rng = np.random.default_rng(1)
    for start in range(0, rows, 1000):
        with ledger.transaction() as session:
            for number in range(start, min(start + 1000, rows)):
                digest = digest_bytes(str(number).encode())
                study = Study(study_instance_uid=f"2.25.{number + 1}")
                session.add(study)
                session.flush()
                series = Series(study_id=study.id, input_digest=digest, series_instance_uids=[])
                session.add(series)
                session.flush()
                slices = [{"slice_index": n, "u_pp": float(rng.gamma(2, 1e-3))} for n in range(3)]
                session.add(
                    Job(
                        id=uuid4(),
                        series_id=series.id,
                        analysis="perfusion" if number % 2 else "reconstruction",
                        bundle_name=f"pool{number}",
                        bundle_version=f"0.{number % 5}.0",
                        bundle_digest=digest,
                        configuration_digest=digest,
                        software_version="0",
                        state="done",
                        attempts=1,
                        folder="/nowhere",
                        outcome={"uncertainty": slices, "aha_segments": SEGMENTS},
                    )
                )


def timed(do: Callable[[], object]) -> float:
    """Return how long something takes [s], the best of some times."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(served: Served, rows: int) -> None:
    """Print what the worklist takes."""
    vera = served.person("vera")
    began = time.perf_counter()
    first = vera.get("/api/worklist?limit=100").json()
    print(
        f"first rows without an index: {time.perf_counter() - began:.2f} s ({first['total']} rows)"
    )
    while not vera.get("/api/worklist?limit=0").json()["complete"]:
        pass
    print(f"all {rows} rows indexed: {time.perf_counter() - began:.1f} s")
    for name, query in QUERIES.items():
        answer = vera.get(f"/api/worklist{query}")
        took = timed(lambda query=query: vera.get(f"/api/worklist{query}"))
        print(f"{name}: {1000 * took:.0f} ms, {len(answer.content) / 1024:.0f} KiB")
    print(f"facets: {1000 * timed(lambda: vera.get('/api/worklist/facets')):.0f} ms")


def header_time(folder: Path) -> None:
    """Print what reading the header of an instance takes."""
    phantom = perfusion_phantom(1, PhantomSettings(n_slices=1, n_beats=20, rows=96, columns=96))
    write_study(phantom.image, folder, name="benchmark")
    path = next(iter(folder.iterdir()))
    print(f"header of an instance: {1000 * timed(lambda: read_header(path, SAID)):.1f} ms")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        header_time(folder / "study")
        place = folder / "ledger.db"
        with Ledger.open(str(place)) as ledger:
            fill(ledger, rows)
        configuration = Configuration(review=ReviewSettings(port=0))
        with serving(place, configuration) as served:
            measure(served, rows)
        began = time.perf_counter()
        with serving(place, configuration) as served:
            vera = served.person("vera")
            login = time.perf_counter()
            total = vera.get("/api/worklist?limit=100").json()["total"]
            now = time.perf_counter()
        print(f"first rows of a server that starts: {now - login:.2f} s ({total} rows)")
        print(f"of which the server itself, with a login: {login - began:.1f} s")


if __name__ == "__main__":
    main()
