"""Open the container of a video, and decode its pictures around what is damaged.

FFmpeg is given an open file and never a name, so that nothing in a file makes it open another; and
it may use the containers and codecs of endoscopic video only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import NotApplicable, UnreadableFile

CONTAINERS = "mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,h264,hevc"
"""Demuxers of FFmpeg that may read a file."""

CODECS = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg")
"""Codecs of pictures that are read."""

LARGEST_SIDE = 4096
"""Rows and columns of a picture: an operating theatre's cameras reach 3840."""

MOST_FAILURES = 1000
"""Failures to read on, one after the other, after which the rest of a file is given up."""

CLOCK_JUMP_S = 1.0
"""A clock that falls back by more than this was set anew [s]."""

REGULAR_STEPS, GAP_STEPS = 2.5, 6.0
"""In a stream whose pictures were never further apart than the first number of steps, a distance of
more than the second means that some were lost."""

ENOUGH_PICTURES = 12
"""So many pictures show whether a stream is regular."""

FALLBACK_RATE_HZ = 25.0
"""Pictures a second where neither the container nor the pictures say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoShape:
    """What a container says of its pictures."""

    codec: str
    """Name of the codec, as FFmpeg has it."""

    rows: int
    """Rows of a picture."""

    columns: int
    """Columns of a picture."""

    rate_hz: float
    """Mean number of pictures a second."""

    duration_seconds: float | None
    """Length [s]; None where the container does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A picture as it comes out of the decoder."""

    t_seconds: float
    """Presentation time, from the start of the stream [s]."""

    frame: VideoFrame
    """The picture, still in the codec's colours."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something between two pictures could not be decoded."""


def shape_of(file: BinaryIO, name: str) -> VideoShape:
    """Return what a container says of its pictures; none is decoded.

    Parameters
    ----------
    file
        The container.
    name
        How messages name it.

    Raises
    ------
    UnreadableFile
        If it is no container that is read, is cut short before its index, or holds a picture of a
        size that cannot be.
    NotApplicable
        If it holds no picture, or those of a codec that is not read.
    """
    with _opened(file, name) as (container, stream):
        duration = _seconds(stream.duration, stream.time_base)
        if duration is None:
            duration = _seconds(container.duration, Fraction(1, av.time_base))
        return VideoShape(
            codec=stream.codec_context.name,
            rows=stream.codec_context.height,
            columns=stream.codec_context.width,
            rate_hz=_rate(stream),
            duration_seconds=duration if duration and duration > 0 else None,
        )


def decoded(file: BinaryIO, name: str, *, threads: int = 1) -> Iterator[Decoded | Damaged]:
    """Yield the pictures of a video in order of time, and where something is damaged.

    Parameters
    ----------
    file
        The container.
    name
        How messages name it.
    threads
        Threads of the decoder.

    Raises
    ------
    UnreadableFile, NotApplicable
        As ``shape_of``.
    """
    with _opened(file, name) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        clock = _Clock(stream)
        gaps = _Gaps(clock.step)
        for packet in _packets(container, stream):
            if packet is None or packet.is_corrupt:
                yield Damaged()
                continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                yield Damaged()
                continue
            for frame in frames:
                if frame.is_corrupt:
                    yield Damaged()
                    continue
                t_seconds = clock.read(frame)
                if gaps.before(t_seconds):
                    yield Damaged()
                yield Decoded(t_seconds=t_seconds, frame=frame)


class _Clock:
    """Reads the times of pictures: from the first picture, and never backwards."""

    def __init__(self, stream: VideoStream) -> None:
        self.step = 1 / _rate(stream)
        self._start: float | None = None
        self._last: float | None = None

    def read(self, frame: VideoFrame) -> float:
        """Return the time of the next picture [s].

        A picture without a time, or with one that is not later than the last, is shown a step after
        it. Where the clock jumps back by more than ``CLOCK_JUMP_S``, as in transport streams that
        were joined, it goes on from there.
        """
        time = _seconds(frame.pts, frame.time_base)
        if self._start is None:
            self._start = time or 0.0
        found = None if time is None else time - self._start
        if self._last is not None and (found is None or found <= self._last):
            following = self._last + self.step
            if time is not None and found is not None and found < self._last - CLOCK_JUMP_S:
                self._start = time - following
            found = following
        self._last = found or 0.0
        return self._last


class _Gaps:
    """Notices pictures that are missing from a stream that had one at every step so far."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._last: float | None = None
        self._n_regular = 0
        self._is_regular = True

    def before(self, t_seconds: float) -> bool:
        """Tell whether pictures are missing before one at some time."""
        steps = 0.0 if self._last is None else (t_seconds - self._last) / self._step
        self._last = t_seconds
        if steps <= REGULAR_STEPS:
            self._n_regular += 1
            return False
        is_gap = self._is_regular and self._n_regular >= ENOUGH_PICTURES and steps > GAP_STEPS
        self._is_regular &= is_gap
        return is_gap


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a container and its stream of pictures."""
    file.seek(0)
    try:
        container = av.open(
            file, mode="r", options={"format_whitelist": CONTAINERS}, metadata_errors="ignore"
        )
    except (av.error.FFmpegError, ValueError, OSError):
        # Not chained: FFmpeg's text may quote the file.
        raise UnreadableFile(
            f"{name}: no video container that is read, or cut short before its index"
        ) from None
    with container:
        yield container, _stream_of(container, name)


def _stream_of(container: InputContainer, name: str) -> VideoStream:
    """Return the pictures of a container, checked."""
    streams = [s for s in container.streams.video if "attached_pic" not in str(s.disposition)]
    if not streams:
        what = "sound and no picture" if container.streams.audio else "no picture"
        raise NotApplicable(f"{name}: the container holds {what}")
    context: VideoCodecContext | None = streams[0].codec_context
    if context is None or context.name not in CODECS:
        codec = "unknown" if context is None else context.name
        raise NotApplicable(f"{name}: codec {codec[:20]}, read are {', '.join(CODECS)}")
    rows, columns = context.height, context.width
    if not (0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE):
        raise UnreadableFile(
            f"{name}: pictures of {rows} x {columns}, read are up to {LARGEST_SIDE} a side"
        )
    return streams[0]


def _packets(
    container: InputContainer, stream: VideoStream
) -> "Iterator[Packet[VideoStream] | None]":
    """Yield the packets of a stream; None where the container is damaged."""
    packets, failures = container.demux(stream), 0
    while failures < MOST_FAILURES:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):
            failures += 1
            packets = container.demux(stream)
            yield None
            continue
        failures = 0
        yield packet


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Return a time of FFmpeg's [s]; None where the file does not have it."""
    return None if ticks is None or time_base is None else float(ticks * time_base)


def _rate(stream: VideoStream) -> float:
    """Return the mean number of pictures a second."""
    for rate in (stream.average_rate, stream.base_rate):
        if rate is not None and 0 < rate <= 1000:
            return float(rate)
    return FALLBACK_RATE_HZ
