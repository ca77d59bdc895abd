"""Files of NIfTI and of video."""

import gzip
from itertools import islice
from pathlib import Path

import nibabel
import numpy as np

from pipeline.errors import PipelineError
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits
from pipeline.ingest.video.container import decoded, shape_of
from tests.fuzz.target import Target
from tests.support.videos import write_video

LIMITS = Limits(max_pixel_bytes=64 << 20)
MOST_PICTURES = 40
PLAIN, PACKED = b"P", b"Z"
"""First byte of an input: the file as it is, or to be compressed."""


def read_nifti(content: bytes, folder: Path) -> None:
    """Take stock of a file and read its values; the first byte says how it is packed."""
    if content[:1] == PLAIN:
        path = folder / "input.nii"
        path.write_bytes(content[1:])
    else:
        path = folder / "input.nii.gz"
        packed = gzip.compress(content[1:], 1) if content[:1] == PACKED else content[1:]
        path.write_bytes(packed)
    try:
        for candidate in take_inventory([path], limits=LIMITS).candidates:
            candidate.load()
    except PipelineError:
        return


def nifti(_: Path) -> list[bytes]:
    """Return files of several types and shapes, plain, compressed, and compressed as they come."""
    found = []
    for kind, shape in (
        (np.float32, (5, 4, 2, 3)),
        (np.int16, (5, 4, 3)),
        (np.complex64, (4, 4, 2, 1, 2)),
    ):
        values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
        content = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 8.0, 1.0])).to_bytes()
        found += [PLAIN + content, PACKED + content, b"G" + gzip.compress(content, mtime=0)]
    second = nibabel.Nifti2Image(np.ones((3, 4, 2), np.int16), np.eye(4)).to_bytes()
    return [*found, PLAIN + second]


def read_video(content: bytes, folder: Path) -> None:
    """Read what a container says of its pictures, and decode the first."""
    path = folder / "input.mp4"
    path.write_bytes(content)
    with path.open("rb") as file:
        try:
            shape_of(file, path.name)
            file.seek(0)
            for _ in islice(decoded(file, path.name), MOST_PICTURES):
                pass
        except PipelineError:
            return


def videos(folder: Path) -> list[bytes]:
    """Return short videos in each container."""
    paths = [
        write_video(folder / "a.mp4", 4),
        write_video(folder / "b.mkv", 4),
        write_video(folder / "c.ts", 4, codec="mpeg2video"),
        write_video(folder / "d.mp4", 4, codec="libx265"),
    ]
    return [path.read_bytes() for path in paths if isinstance(path, Path)]


TARGETS = {
    "nifti": Target(read=read_nifti, seeds=nifti, brought="nibabel", longest=4096, n_tried=200),
    "video": Target(read=read_video, seeds=videos, longest=1 << 16, n_tried=150),
}
