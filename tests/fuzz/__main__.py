"""Fuzz targets one after the other: ``python -m tests.fuzz [--seconds N] [TARGET ...]``.

Each is searched by libFuzzer through atheris in a process of its own, which is started again after
native code has ended it. Findings, counts and the corpus stay under ``results/fuzz``, and a table
of all is printed.
"""

import json
import re
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep, time

from tests.fuzz.target import CURRENT, PLACES, ROOT

RESULTS = ROOT / "results" / "fuzz"
STUCK_S = 45.0
"""Time without a count after which an engine is killed [s]: it ends by itself after ten, unless
native code keeps it from that."""

MOST_STARTS = 40
"""Starts of one target, so that what fails at once ends."""

COLUMNS = (
    "target",
    "seconds",
    "inputs",
    "a second",
    "edges",
    "corpus",
    "slowest [s]",
    "RSS [MB]",
    "found",
)

STATE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+).* rss: (\d+)Mb")


@dataclass(kw_only=True)
class Outcome:
    """What became of one target."""

    name: str
    seconds: float = 0.0
    inputs: int = 0
    slowest_s: float = 0.0
    coverage: int = 0
    corpus: int = 0
    rss_mb: int = 0
    ends: list[str] = field(default_factory=list)
    """Names of the inputs on which the process was ended."""

    findings: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """The outcome as a row of a table."""
        cells = (
            self.name,
            f"{self.seconds:.0f}",
            self.inputs,
            f"{self.inputs / self.seconds:.0f}",
            self.coverage,
            self.corpus,
            f"{self.slowest_s:.2f}",
            self.rss_mb,
            len(self.findings) + len(self.ends),
        )
        return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Fuzz, and print what came of it."""
    parser = ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(PLACES))
    parser.add_argument("--seconds", type=float, default=300.0, help="for each target")
    call = parser.parse_args()
    outcomes = []
    for name in call.targets or PLACES:
        outcome = fuzzed(name, call.seconds)
        outcomes.append(outcome)
        print(outcome.row, *outcome.findings, *outcome.ends, sep="\n  ", flush=True)
    lines = table(outcomes)
    (RESULTS / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    sys.exit(1 if any(o.findings or o.ends for o in outcomes) else 0)


def table(outcomes: list[Outcome]) -> list[str]:
    """Return outcomes as a table."""
    n_inputs = sum(one.inputs for one in outcomes)
    hours = sum(one.seconds for one in outcomes) / 3600
    return [
        f"| {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * (len(COLUMNS) - 1)}",
        *(one.row for one in outcomes),
        "",
        f"{n_inputs} inputs in {hours:.2f} hours.",
    ]


def fuzzed(name: str, seconds: float) -> Outcome:
    """Search one target for a time."""
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("finding-*"), *folder.glob("native-*")):
        old.unlink()
    outcome, began = Outcome(name=name), monotonic()
    for _ in range(MOST_STARTS):
        left = seconds - (monotonic() - began)
        if left < 1:
            break
        _search(name, folder, int(left), outcome)
    outcome.seconds = monotonic() - began
    outcome.findings = sorted(p.read_text().strip() for p in folder.glob("finding-*.txt"))
    outcome.ends = sorted(path.name for path in folder.glob("native-*"))
    rmtree(folder / "seeds", ignore_errors=True)
    return outcome


def _search(name: str, folder: Path, seconds: int, outcome: Outcome) -> None:
    """Run the engine once, and add what it counts."""
    (folder / "counts.json").unlink(missing_ok=True)
    log, engine = folder / "log", (sys.executable, "-m", "tests.fuzz.engine")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*engine, name, str(folder), f"-max_total_time={seconds}", "-print_final_stats=1"],
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
    while process.poll() is None:
        sleep(1.0)
        if _is_stuck(folder):
            process.kill()
            _keep_current(folder)
    if (folder / "counts.json").exists():
        counts = json.loads((folder / "counts.json").read_text())
        outcome.inputs += counts["inputs"]
        outcome.slowest_s = max(outcome.slowest_s, counts["slowest_s"])
    for edges, _, corpus, rss_mb in STATE.findall(log.read_text(errors="replace"))[-1:]:
        outcome.coverage = max(outcome.coverage, int(edges))
        outcome.corpus, outcome.rss_mb = int(corpus), max(outcome.rss_mb, int(rss_mb))


def _is_stuck(folder: Path) -> bool:
    """Tell whether an engine has not counted for long."""
    counts = folder / "counts.json"
    return counts.exists() and time() - counts.stat().st_mtime > STUCK_S


def _keep_current(folder: Path) -> None:
    """Keep the input that an engine was stuck at."""
    content = (folder / CURRENT).read_bytes()
    stuck = content[8 : 8 + int.from_bytes(content[:8], "little")]
    (folder / f"native-stuck-{sha256(stuck).hexdigest()[:12]}").write_bytes(stuck)


if __name__ == "__main__":
    main()
