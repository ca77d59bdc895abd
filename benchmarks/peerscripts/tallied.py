"""What a job of the tests' analysis comes to, as plainly as it can be done: read, run, write."""

import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

FILES = ("a.bin", "b/c.bin", "d.bin")
FILE_BYTES = 40_000


def values_of(volume: Path | str) -> NDArray[np.float32]:
    """Return the values of a NIfTI volume, in the order that the analysis takes them in."""
    image = np.asarray(nibabel.load(volume).dataobj, np.float32)
    return np.ascontiguousarray(image.transpose(2, 1, 0)).ravel()


def total_of(session: Any, values: NDArray[np.float32]) -> float:
    """Return what the network says."""
    return float(session.run(["total"], {"values": values})[0][0])


def write(total: float, folder: str) -> None:
    """Write the files of a result."""
    for number, name in enumerate(FILES):
        place = Path(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"{total:.1f} {number} ".encode() * (FILE_BYTES // 12))


def main() -> None:
    """Do every volume of a folder: ``tallied.py MODEL INPUTS OUTPUT``; print how many."""
    import onnxruntime

    model, inputs, output = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    volumes = sorted(Path(inputs).glob("*.nii"))
    for volume in volumes:
        write(total_of(session, values_of(volume)), f"{output}/{volume.stem}")
    print(json.dumps(len(volumes)))


if __name__ == "__main__":
    main()
