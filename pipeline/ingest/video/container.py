"""Open the container of a video, and decode its pictures around what is damaged.

FFmpeg is given an open file and never a name, so that nothing in a file makes it open another; and
it may use the containers and codecs of endoscopic video only.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from pipeline.ingest.limits import in_force
from pipeline.ingest.video.source import VideoShape

CONTAINERS = "mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,h264,hevc"
"""Demuxers of FFmpeg that may read a file."""

CODECS = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg")
"""Codecs of pictures that are read."""

NO_CONTAINER = "no video container that is read, or cut short before its index"

LIVE = {
    "protocol_whitelist": "file,udp,rtp,rtsp,tcp,srt",
    "rtsp_transport": "tcp",
    "fflags": "nobuffer",
}
"""Options of FFmpeg for a source that is not over yet."""

LIVE_SCHEMES = ("udp", "rtp", "rtsp", "srt", "tcp")
"""Schemes of the addresses of live video."""

LIVE_TIMEOUT_S = 20.0
"""A source that sends nothing for so long has ended [s]."""

MOST_FAILURES = 1000
"""Failures to read on, one after the other, after which the rest of a file is given up."""

JOINABLE = ("mpegts", "mpeg")
"""Containers that are joined by writing one after another."""

EARLY_S = 1.0
"""Pictures that end so long before their container says are cut short [s]."""

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
    file.seek(0)
    with _opened(file, name) as (container, stream):
        return VideoShape(
            codec=stream.codec_context.name,
            rows=stream.codec_context.height,
            columns=stream.codec_context.width,
            rate_hz=_rate(stream),
            duration_seconds=_length(container, stream),
        )


def decoded(source: BinaryIO | str, name: str, *, threads: int = 1) -> Iterator[Decoded | Damaged]:
    """Yield the pictures of a video in order of time, and where something is damaged.

    Parameters
    ----------
    source
        The container, from its beginning, or the address of a camera or of a sender: a device, or a
        URL of ``LIVE_SCHEMES``.
    name
        How messages name it.
    threads
        Threads of the decoder.

    Raises
    ------
    UnreadableFile, NotApplicable
        As ``shape_of``.
    """
    with _opened(source, name) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        clock = _Clock(stream, may_be_joined=container.format.name in JOINABLE)
        gaps = _Gaps(clock.step)
        for packet in _packets(container, stream):
            for frame in _frames(packet):
                t_seconds = None if frame is None else clock.read(frame)
                if frame is None or (t_seconds is not None and gaps.before(t_seconds)):
                    yield Damaged()
                if frame is not None and t_seconds is not None:
                    _check_length(t_seconds, name)
                    yield Decoded(t_seconds=t_seconds, frame=frame)
        if _ends_early(container, stream, clock):
            yield Damaged()


def picture_at(file: BinaryIO, name: str, t_seconds: float) -> VideoFrame | None:
    """Return the picture that is shown at a time, sought and not decoded up to; None if none is.

    Parameters
    ----------
    file
        The container.
    name
        How messages name it.
    t_seconds
        The time, from the start of the stream [s].

    Raises
    ------
    UnreadableFile, NotApplicable
        As ``shape_of``.
    """
    with _opened(file, name) as (container, stream):
        start = _seconds(stream.start_time, stream.time_base) or 0.0
        with suppress(av.error.FFmpegError):
            container.seek(round((start + t_seconds) * av.time_base), backward=True)
        shown = None
        for packet in _packets(container, stream):
            if packet is None:
                continue
            with suppress(av.error.FFmpegError):
                for frame in packet.decode():
                    time = _seconds(frame.pts, frame.time_base)
                    if shown is not None and time is not None and time - start > t_seconds:
                        return shown
                    shown = frame
        return shown


def _frames(packet: "Packet[VideoStream] | None") -> list[VideoFrame | None]:
    """Return the pictures that a packet completes; None for one that is damaged."""
    if packet is None or packet.is_corrupt:
        return [None]
    try:
        return [None if frame.is_corrupt else frame for frame in packet.decode()]
    except av.error.FFmpegError:
        return [None]


def _ends_early(container: InputContainer, stream: VideoStream, clock: "_Clock") -> bool:
    """Tell whether a container states to be longer than its pictures are."""
    length = _length(container, stream)
    if length is None or clock.last is None:
        return False
    return length - clock.last > max(EARLY_S, GAP_STEPS * clock.step)


class _Clock:
    """Reads the times of pictures: from the first picture, and never backwards.

    Parameters
    ----------
    stream
        The pictures.
    may_be_joined
        Whether the container is one that is joined by writing one file after another, so that its
        clock may begin anew.
    """

    def __init__(self, stream: VideoStream, *, may_be_joined: bool) -> None:
        self.step = 1 / _rate(stream)
        self.last: float | None = None
        self._may_be_joined = may_be_joined
        self._start: float | None = None

    def read(self, frame: VideoFrame) -> float | None:
        """Return the time of the next picture [s]; None if it comes too late to be shown.

        A picture without a time is shown a step after the last. Pictures come in order of time but
        after damage, where the decoder lets go of what it has kept.
        """
        time = _seconds(frame.pts, frame.time_base)
        if self._start is None:
            self._start = time or 0.0
        found = None if time is None else time - self._start
        if self.last is None:
            found = found or 0.0
        elif found is None:
            found = self.last + self.step
        elif found <= self.last:
            if not self._may_be_joined or found > self.last - CLOCK_JUMP_S:
                return None
            found = self.last + self.step
            self._start = (time or 0.0) - found
        self.last = found
        return found


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
def _opened(source: BinaryIO | str, name: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a container, or what an address names, and its stream of pictures."""
    is_address = isinstance(source, str)
    try:
        container = av.open(
            source,
            mode="r",
            format=_device_format(source),
            options=LIVE if is_address else {"format_whitelist": CONTAINERS},
            metadata_errors="ignore",
            timeout=LIVE_TIMEOUT_S if is_address else None,
        )
    except (av.error.FFmpegError, ValueError, OSError):
        # Not chained: FFmpeg's text may quote the file.
        what = "cannot be reached, or sends no video" if is_address else NO_CONTAINER
        raise UnreadableFile(f"{name}: {what}") from None
    with container:
        yield container, _stream_of(container, name)


def _device_format(source: BinaryIO | str) -> str | None:
    """Return FFmpeg's name for what reads a camera; None for what is no device."""
    is_camera = isinstance(source, str) and source.startswith("/dev/video")
    return "v4l2" if is_camera else None


def _stream_of(container: InputContainer, name: str) -> VideoStream:
    """Return the pictures of a container, checked."""
    limits, n_streams = in_force(), len(container.streams)
    if n_streams > limits.max_streams:
        raise UnreadableFile(f"{name}: {n_streams} streams, limit {limits.max_streams}")
    streams = [s for s in container.streams.video if "attached_pic" not in str(s.disposition)]
    if not streams:
        what = "sound and no picture" if container.streams.audio else "no picture"
        raise NotApplicable(f"{name}: the container holds {what}")
    context: VideoCodecContext | None = streams[0].codec_context
    if context is None or context.name not in CODECS:
        codec = "unknown" if context is None else context.name
        raise NotApplicable(f"{name}: codec {codec[:20]}, read are {', '.join(CODECS)}")
    rows, columns = context.height, context.width
    if not (rows and columns):
        raise UnreadableFile(f"{name}: not enough of the video to know the size of its pictures")
    side = limits.max_rows_columns
    if not (0 < rows <= side and 0 < columns <= side):
        raise UnreadableFile(
            f"{name}: pictures of {rows} x {columns}, read are up to {side} a side"
        )
    _check_length(_length(container, streams[0]), name)
    return streams[0]


def _check_length(seconds: float | None, name: str) -> None:
    """Refuse a video that is, or claims to be, longer than allowed."""
    longest = in_force().max_video_seconds
    if seconds is not None and seconds > longest:
        raise UnreadableFile(f"{name}: {seconds:.0f} s of video, limit {longest}")


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


def _length(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the length that a container states [s]; None where it does not."""
    length = _seconds(stream.duration, stream.time_base)
    if length is None:
        length = _seconds(container.duration, Fraction(1, av.time_base))
    return length if length and length > 0 else None


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Return a time of FFmpeg's [s]; None where the file does not have it."""
    return None if ticks is None or time_base is None else float(ticks * time_base)


def _rate(stream: VideoStream) -> float:
    """Return the mean number of pictures a second."""
    for rate in (stream.average_rate, stream.base_rate):
        if rate is not None and 0 < rate <= 1000:
            return float(rate)
    return FALLBACK_RATE_HZ
