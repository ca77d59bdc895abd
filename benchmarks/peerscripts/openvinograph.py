"""Run a graph by OpenVINO's provider: ``openvinograph.py MODEL FEED.npz OUTPUT.npy THREADS RUNS``.

Prints the seconds of a run, the mean over ``RUNS`` after one that compiles.
"""

import json
import sys
from time import perf_counter

import numpy as np
import onnxruntime

PROVIDER = "OpenVINOExecutionProvider"


def main() -> None:
    """Run, write the first output, and print."""
    model, feed_file, output, threads, runs = sys.argv[1:]
    options = {"device_type": "CPU", "num_of_threads": threads}
    session = onnxruntime.InferenceSession(model, providers=[(PROVIDER, options)])
    if PROVIDER not in session.get_providers():
        sys.exit(f"{PROVIDER} does not start here")
    feed = dict(np.load(feed_file))
    np.save(output, session.run(None, feed)[0])
    began = perf_counter()
    for _ in range(int(runs)):
        session.run(None, feed)
    print(json.dumps((perf_counter() - began) / int(runs)))


if __name__ == "__main__":
    main()
