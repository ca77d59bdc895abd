"""The process that fuzzes one target: ``python -m tests.fuzz.engine NAME FOLDER [libFuzzer's]``.

A finding does not end it: each is written down once and the search goes on. What native code does,
a crash, a hang or endless memory, does end it; whoever has started it begins anew.
"""

import json
import sys
import warnings
from hashlib import sha256
from mmap import mmap
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic, process_time

import atheris

from tests.fuzz.target import CURRENT, Target, signature, target

SLOW_S = 1.0
"""Time of the processor that an input may take [s]."""

WATCHED = ["pipeline", "tomllib", "python_multipart"]
"""Packages whose branches steer the search."""

TOLD_EVERY_S = 1.0
"""Time after which counts are written again [s]: the engine ends without a word."""


class Search:
    """What is counted and found while a target is fed.

    Parameters
    ----------
    fed
        The target.
    folder
        Where findings and counts go.
    """

    def __init__(self, fed: Target, folder: Path) -> None:
        self.fed, self.folder = fed, folder
        self.n_inputs, self.slowest_s = 0, 0.0
        self.known: set[str] = set()
        self.told = 0.0
        self.work = Path(mkdtemp(prefix="vesalius-fuzz-", dir=_memory()))
        (folder / CURRENT).write_bytes(bytes(8 + fed.longest))
        with (folder / CURRENT).open("r+b") as file:
            self.current = mmap(file.fileno(), 0)

    def feed(self, content: bytes) -> None:
        """Feed one input, and write down what should not have happened."""
        self.current[: 8 + len(content)] = len(content).to_bytes(8, "little") + content
        began = process_time()
        try:
            self.fed.read(content, self.work)
        except Exception as problem:  # noqa: BLE001 - whatever is not foreseen is a finding
            self._found(signature(problem), content, repr(problem))
        took = process_time() - began
        if took > SLOW_S:
            self._found("slow", content, f"{took:.2f} s")
        self.slowest_s = max(self.slowest_s, took)
        self.n_inputs += 1
        if monotonic() - self.told >= TOLD_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Write the counts."""
        counts = {"inputs": self.n_inputs, "slowest_s": round(self.slowest_s, 3)}
        (self.folder / "counts.json").write_text(json.dumps(counts))
        self.told = monotonic()

    def _found(self, name: str, content: bytes, told: str) -> None:
        """Write down a finding, once for each kind and place."""
        if name in self.known:
            return
        self.known.add(name)
        place = self.folder / f"finding-{sha256(name.encode()).hexdigest()[:12]}"
        place.write_bytes(content)
        place.with_suffix(".txt").write_text(f"{name}\n{told}\n")


def _memory() -> str | None:
    """Return a folder in memory, where the system has one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of our own in it


def _brought(fed: Target) -> list[bytes]:
    """Return the files that a package brings for a target, as far as they are not too long."""
    # Only now: it imports readers, which would not be watched if they had been imported before.
    from tests.nasty.corpus import installed

    found = [
        content
        for case in installed()
        if case.kind == fed.brought
        for content in case.files.values()
    ]
    return [content for content in found if len(content) <= fed.longest]


def main() -> None:
    """Feed a target until told to end."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    with atheris.instrument_imports(include=WATCHED):
        fed = target(name)
    warnings.simplefilter("ignore")
    search = Search(fed, folder)
    (folder / "corpus").mkdir(exist_ok=True)
    seeds = folder / "seeds"
    seeds.mkdir(exist_ok=True)
    for content in (*fed.seeds(search.work), *_brought(fed)):
        (seeds / sha256(content).hexdigest()[:16]).write_bytes(content)
    rmtree(search.work)
    search.work.mkdir()
    limits = [f"-max_len={fed.longest}", "-timeout=10", "-rss_limit_mb=3000"]
    where = [f"-artifact_prefix={folder}/native-", str(folder / "corpus"), str(seeds)]
    atheris.Setup([sys.argv[0], *limits, *sys.argv[3:], *where], search.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
