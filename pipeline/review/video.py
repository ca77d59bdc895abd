"""The input of a job as a video that browsers play: H.264 in MP4, on the analysis's own time.

A file that is one already is passed on as it is. Everything else is decoded as the analysis decoded
it, so that a boundary at some second is seen at that second, and encoded once.
"""

import logging
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import av
import numpy as np
from av.video.stream import VideoStream

from pipeline.errors import NotApplicable, PipelineError
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.video.footage import is_played
from pipeline.ingest.video.fragments import open_codestream
from pipeline.ingest.video.source import Footage, Kind
from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.cache import Cache
from pipeline.review.images import input_of
from pipeline.study import VideoSeries

LOG = logging.getLogger(__name__)

NAME = "video.mp4"
"""Name of the file."""

FASTEST_HZ = 25
"""Pictures a second of a video that is encoded anew, at most."""

ENCODER = {"preset": "veryfast", "crf": "23"}
"""How it is encoded: small enough to be sought in, good enough to see a phase by."""

WAITS_S = 20.0
"""A request waits so long for a video that is being made [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """Videos of inputs: each is made in a thread of its own, one at a time."""

    cache: Cache
    """Keeps them."""

    failed: dict[UUID, str] = field(default_factory=dict)
    """Why some cannot be made."""

    making: dict[UUID, threading.Thread] = field(default_factory=dict)
    """Threads that make one."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while one is encoded: the machine has other work."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the tables above are looked at."""

    def find(self, job: ResultJob, wait_s: float = WAITS_S) -> Path | None:
        """Return the video of a job's input; None if it is being made.

        Raises
        ------
        NotApplicable
            If there is none, or it cannot be made.
        """
        made = self.cache.root / f"{job.job_id}-video" / NAME
        if not made.is_file():
            with self.lock:
                thread = self.making.get(job.job_id)
                if job.job_id in self.failed:
                    raise NotApplicable(self.failed[job.job_id])
                if thread is None:
                    thread = threading.Thread(target=self._make, args=(job,), daemon=True)
                    self.making[job.job_id] = thread
                    thread.start()
            thread.join(wait_s)
            if job.job_id in self.failed:
                raise NotApplicable(self.failed[job.job_id])
        return made if made.is_file() else None

    def _make(self, job: ResultJob) -> None:
        """Make a video."""
        try:
            with self.turn:
                self.cache.folder(job.job_id, "video", lambda folder: make_video(job, folder))
        except PipelineError as problem:
            self.failed[job.job_id] = str(problem)
        except (OSError, av.error.FFmpegError) as problem:
            self.failed[job.job_id] = f"the video cannot be encoded ({type(problem).__name__})"
            LOG.warning("a video cannot be encoded", extra={"action": "video_failed"})
        finally:
            with self.lock:
                self.making.pop(job.job_id, None)


def make_video(job: ResultJob, folder: Path) -> None:
    """Write the video of a job's input into a folder.

    Raises
    ------
    StudyRejected
        If the input is gone, has changed, or cannot be read.
    NotApplicable
        If it is no video.
    """
    candidate = input_of(job)
    series = candidate.load()
    if not isinstance(series, VideoSeries):
        raise NotApplicable("the input is no video")
    if len(candidate.files) == 1:
        path = candidate.files[0]
        kind = Kind.DICOM if series.instances else Kind.FILE
        if is_played(Footage(name=path.name, kind=kind, place=str(path.absolute()))):
            with _container(path, bool(series.instances)) as source:
                _pass_on(source, folder / NAME)
            return
    rate = min(Fraction(series.frame_rate_hz or 1.0).limit_denominator(1001), Fraction(FASTEST_HZ))
    encode(series.pictures(float(rate)), rate, folder / NAME)


@contextmanager
def _container(path: Path, is_dicom: bool) -> Iterator[BinaryIO]:
    """Open the container that a file is, or holds."""
    with open_codestream(path, path.name) if is_dicom else path.open("rb") as file:
        yield file


def _pass_on(source: BinaryIO, target: Path) -> None:
    """Write a container's bytes as they are."""
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def encode(pictures: Iterable[TimedFrame], rate: Fraction, target: Path) -> None:
    """Encode pictures, each at its time; where there is none the last one stays.

    Parameters
    ----------
    pictures
        The pictures, in order of time.
    rate
        The rate that their times are multiples of [1/s].
    target
        The file.

    Raises
    ------
    NotApplicable
        If there is no picture.
    """
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: VideoStream | None = None
        for picture in pictures:
            # H.264 in 4:2:0 has even sides.
            rows, columns = (side - side % 2 for side in picture.rgb.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width, stream.pix_fmt = rows, columns, "yuv420p"
                stream.options, stream.codec_context.thread_count = dict(ENCODER), 1
            pixels = np.ascontiguousarray(picture.rgb[:rows, :columns])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(picture.t_seconds * rate), 1 / rate
            container.mux(stream.encode(frame))
        if stream is None:
            raise NotApplicable("the video has no picture that can be decoded")
        container.mux(stream.encode(None))
