"""A MONAI Deploy application around the bare model: ``monaideploy.py MODEL INPUTS OUTPUT N``.

Three operators: read, infer, write. ``N`` volumes of the folder ``INPUTS`` are done one after the
other, each by a run of the application; the session is opened once. Prints the time of each run
but the first [s], of which there is at least one.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# Read when it is imported.
os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "OFF")

import onnxruntime
from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Operator
from tallied import total_of, values_of, write


class Read(Operator):
    """Reads a volume."""

    def __init__(self, fragment: Any, *args: Any, volume: Path, **kwargs: Any) -> None:
        self.volume = volume
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: Any) -> None:
        """Name what goes in and out."""
        spec.output("values")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Do it."""
        op_output.emit(values_of(self.volume), "values")


class Infer(Operator):
    """Runs the network."""

    def __init__(self, fragment: Any, *args: Any, session: Any, **kwargs: Any) -> None:
        self.session = session
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: Any) -> None:
        """Name what goes in and out."""
        spec.input("values")
        spec.output("total")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Do it."""
        op_output.emit(total_of(self.session, op_input.receive("values")), "total")


class Write(Operator):
    """Writes the files."""

    def __init__(self, fragment: Any, *args: Any, folder: str, **kwargs: Any) -> None:
        self.folder = folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: Any) -> None:
        """Name what goes in and out."""
        spec.input("total")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Do it."""
        write(op_input.receive("total"), self.folder)


class Tally(Application):
    """The application."""

    def __init__(self, session: Any, volume: Path, folder: str) -> None:
        self.asked = (session, volume, folder)
        super().__init__([])

    def compose(self) -> None:
        """Join the operators."""
        session, volume, folder = self.asked
        read = Read(self, CountCondition(self, 1), name="read", volume=volume)
        infer = Infer(self, name="infer", session=session)
        last = Write(self, name="write", folder=folder)
        self.add_flow(read, infer, {("values", "values")})
        self.add_flow(infer, last, {("total", "total")})


def main() -> None:
    """Run the application for each volume."""
    model, inputs, output, n = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    took = []
    for volume in sorted(Path(inputs).glob("*.nii"))[: int(n)]:
        began = time.perf_counter()
        Tally(session, volume, f"{output}/{volume.stem}").run()
        took.append(time.perf_counter() - began)
    print()
    print(json.dumps(took[1:] or took))


if __name__ == "__main__":
    main()
