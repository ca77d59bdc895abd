"""Peak memory of a process, which never comes down again.

The peak is read from ``VmHWM``, not from ``getrusage``: on Linux a new process inherits the
``ru_maxrss`` of the one that started it.
"""

from pathlib import Path

import psutil  # type: ignore[import-untyped]


def peak_mib(process: int) -> float:
    """Return the peak of a running process so far [MiB]; where it is not kept, what it has now."""
    status = Path(f"/proc/{process}/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        # A process that has ended and is not yet waited for has no memory any more.
        return int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    return int(psutil.Process(process).memory_info().rss) / 2**20
