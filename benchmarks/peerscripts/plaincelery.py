"""Plain Celery around the bare model: ``plaincelery.py BROKER MODEL INPUTS OUTPUT LONE``.

One worker of one process, late acknowledgement, one message at a time; no ledger, no flush, no
process of its own that reads. ``INPUTS`` is a folder of volumes. Prints the time of a job while
many wait, and of lone ones from the call to their end [s].
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery
from tallied import total_of, values_of, write

BROKER = os.environ.get("PLAIN_BROKER", "")
MODEL = os.environ.get("PLAIN_MODEL", "")
LONGEST_S = 60.0

app = Celery("plaincelery", broker=BROKER)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    task_default_queue="plain",
)
opened: dict[str, Any] = {}


@app.task(name="plain")
def plain(volume: str, folder: str) -> None:
    """Do a job; say when it began and ended."""
    began = time.time()
    if not opened:
        import onnxruntime  # in the process that works

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        opened["session"] = onnxruntime.InferenceSession(MODEL, options)
    write(total_of(opened["session"], values_of(volume)), folder)
    Path(folder, "times.json").write_text(json.dumps([began, time.time()]))


def ended(folder: str) -> tuple[float, float]:
    """Wait for a job; return when it began and ended."""
    until, told = time.time() + LONGEST_S, Path(folder, "times.json")
    while time.time() < until:
        try:
            began, end = json.loads(told.read_text())
        except (OSError, ValueError):
            time.sleep(0.001)
        else:
            return began, end
    sys.exit(f"{folder} has not ended within {LONGEST_S:.0f} s")


def main() -> None:
    """Start a worker, and measure."""
    broker, model, inputs, output, n_lone = sys.argv[1:]
    app.conf.broker_url = broker
    volumes = sorted(Path(inputs).glob("*.nii"))
    call = [sys.executable, "-m", "celery", "--workdir", str(Path(__file__).parent)]
    call += ["-A", "plaincelery", "worker", "--concurrency", "1", "--loglevel", "ERROR"]
    environment = {**os.environ, "PLAIN_BROKER": broker, "PLAIN_MODEL": model}
    with subprocess.Popen(call, env=environment, stdout=sys.stderr) as worker:
        try:
            # The first opens the session.
            plain.delay(str(volumes[0]), f"{output}/first")
            ended(f"{output}/first")
            lone = []
            for number in range(int(n_lone)):
                called = time.time()
                plain.delay(str(volumes[number]), f"{output}/lone-{number}")
                lone.append(ended(f"{output}/lone-{number}")[1] - called)
            folders = [f"{output}/{volume.stem}" for volume in volumes]
            for volume, folder in zip(volumes, folders, strict=True):
                plain.delay(str(volume), folder)
            times = [ended(folder) for folder in folders]
        finally:
            worker.terminate()
    many = (max(end for _, end in times) - min(begin for begin, _ in times)) / len(times)
    print(json.dumps({"many": many, "lone": sorted(lone)[len(lone) // 2]}))


if __name__ == "__main__":
    main()
