"""Area ``phases``: a recorded video beside its decoding alone, and live steps under load.

    python -m benchmarks.phases [--bundle DIR] [--video FILE] [--minutes N] [--hours N]

As a command it prints the rates of decoder, encoder and step alone, a case in real time, live steps
and memory. Without ``--video`` a video of 480 x 854 at 25 pictures a second is generated: what
moves in it is noise of several sizes under a drifting view, H.264 with B-frames, about 1 Mbit/s. A
case of so many minutes is that video decoded again and again, each time for real. The long video is
of small pictures: what it is for is the memory, which does not depend on their number.
"""

import multiprocessing
import os
import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import av
import numpy as np

from benchmarks.row import Missing, Row, Terms, in_turn, seconds_of
from pipeline.analyses.phases.analysis import analyse
from pipeline.analyses.phases.networks import PhaseNetworks, encode, open_phases
from pipeline.analyses.phases.picture import small_picture
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.analyses.phases.stepper import PhaseStepper
from pipeline.imaging.timedframe import TimedFrame
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.ingest.video.footage import ConfinedPictures
from pipeline.ingest.video.pictures import Pictures, VideoSource
from pipeline.ingest.video.source import Footage, Kind

SHAPE = (480, 854)
CLIP_S = 30
RATE_HZ = 25

HIGH_SHAPE = (1080, 1920)
"""Pictures of present endoscopes."""

STEP_LIMIT_MS = 5.0
"""What a live step should take at most [ms]."""

EVERY_S = 0.05
"""Time between live pictures [s]: more than are ever sent, and the step sleeps between them."""

N_LIVE = 200
"""Live pictures a round."""

SAME_FEATURES = 0.97
"""Least correlation of features in eight bits and in single precision."""

BURNERS = 2
"""Processes that keep a core busy each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRates:
    """Pictures a second of each stage, alone."""

    decode: float
    encode: float
    step: float


def write_clip(path: Path, seconds: int, shape: tuple[int, int], rate_hz: int) -> None:
    """Write a video in which a textured field drifts under the view."""
    rng = np.random.default_rng(1)
    wide = (2 * shape[0], 2 * shape[1])
    field = sum(
        np.kron(rng.random((wide[0] // s + 1, wide[1] // s + 1)), np.ones((s, s)))[
            : wide[0], : wide[1]
        ]
        for s in (4, 16, 64)
    )
    field = np.asarray(field / field.max())
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=rate_hz)
        stream.height, stream.width = shape
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "30"}
        for index in range(seconds * rate_hz):
            angle = 2 * np.pi * index / (20 * rate_hz)
            row, column = (
                int(shape[axis] * (0.5 + 0.45 * turn) / 1)
                for axis, turn in ((0, np.sin(angle)), (1, np.cos(1.3 * angle)))
            )
            view = field[row : row + shape[0], column : column + shape[1]]
            picture = (view[:, :, None] * np.array([200, 90, 70])).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def pictures_of(path: Path, repeats: int, seconds: float) -> Pictures:
    """Return the pictures of a video that is played several times over."""
    sources = [
        VideoSource(name=path.name, start_seconds=n * seconds, open=lambda: path.open("rb"))
        for n in range(repeats)
    ]
    return Pictures(sources, 1.0, threads=2)


def stage_rates(path: Path, networks: PhaseNetworks) -> tuple[StageRates, list[TimedFrame]]:
    """Measure each stage alone; return the pictures too."""
    began = perf_counter()
    n_decoded = decoded_pictures(path, os.cpu_count() or 1)
    decode = n_decoded / (perf_counter() - began)
    frames = list(pictures_of(path, 1, 0.0))
    small = [small_picture(frame.rgb, networks.model.picture_side) for frame in frames]
    encode(networks, small[0])
    began = perf_counter()
    for picture in small:
        encode(networks, picture)
    encoded = len(small) / (perf_counter() - began)
    stepper = PhaseStepper(networks)
    sights = [step.sight for frame in frames for step in stepper.push_kept(frame)]
    stepper = PhaseStepper(networks)
    began = perf_counter()
    for sight in sights:
        stepper.take(sight)
    return StageRates(
        decode=decode, encode=encoded, step=len(sights) / (perf_counter() - began)
    ), frames


def real_time_factor(path: Path, minutes: float, seconds: float, networks: PhaseNetworks) -> float:
    """Return how many times faster than it was recorded a case is analysed."""
    repeats = max(1, round(60 * minutes / seconds))
    began = perf_counter()
    analyse(pictures_of(path, repeats, seconds), networks, PhasesSettings())
    return repeats * seconds / (perf_counter() - began)


def live_latency(
    frames: list[TimedFrame], networks: PhaseNetworks, rounds: int, load: int
) -> tuple[float, float]:
    """Return median and 99th percentile of a live step [ms], other processes at work beside it."""
    stepper, took = PhaseStepper(networks), []
    with busy(load):
        for index, frame in enumerate(frames * rounds):
            moved = TimedFrame(t_seconds=float(index), rgb=frame.rgb)
            began = perf_counter()
            stepper.push(moved)
            took.append(perf_counter() - began)
    p50, p99 = np.percentile(took, (50, 99))
    return 1000 * float(p50), 1000 * float(p99)


@contextmanager
def busy(load: int) -> Iterator[None]:
    """Have so many processes keep a core busy each, until the end."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(load)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def _burn() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10_000))


def measure(terms: Terms) -> Iterator[Row | Missing]:
    """Yield recorded videos over their decoding, live steps over what they may take, and torch."""
    networks = open_phases(load_bundle(find_bundle("phases")), "cholecystectomy")
    shapes = ((96, 160),) if terms.is_small else (SHAPE, HIGH_SHAPE)
    seconds, rate = (4, 5) if terms.is_small else (CLIP_S, RATE_HZ)
    for shape in shapes:
        path = terms.place / f"{shape[0]}.mp4"
        write_clip(path, seconds, shape, rate)
        yield recorded(path, seconds, networks, terms.rounds)
    frames = list(pictures_of(terms.place / f"{shapes[0][0]}.mp4", 1, 0.0))
    yield from live(frames, networks, terms)
    if find_spec("torch") is None:
        yield Missing(against="torch", reason="not in this environment")
    else:
        yield eager(frames, networks, terms.rounds)


def recorded(path: Path, seconds: int, networks: PhaseNetworks, rounds: int) -> Row:
    """Return the time of a video's analysis over that of its decoding.

    Ours decodes in a confined process, as serving does, converts a picture a second and runs the
    networks on it. The other decodes every picture and looks at none.

    Parameters
    ----------
    path
        The video.
    seconds
        Its length [s].
    networks
        What knows the procedure.
    rounds
        Pairs that are counted.
    """
    threads = os.cpu_count() or 1
    footage = [Footage(name=path.name, kind=Kind.FILE, place=str(path))]

    def ours() -> float:
        pictures = ConfinedPictures(footage, networks.model.rate_hz, threads=threads)
        began = perf_counter()
        n_seconds = analyse(pictures, networks, PhasesSettings()).mark.size
        took = perf_counter() - began
        if n_seconds != seconds:
            raise RuntimeError(f"{n_seconds} seconds of {seconds} were analysed")
        return took

    def theirs() -> float:
        return seconds_of(lambda: decoded_pictures(path, threads))

    analysed, decoded = in_turn(rounds, ours, theirs)
    return Row(
        area="phases",
        what=f"a video of {seconds} s, {path.stem} rows, at 1 picture/s",
        against=f"its decoding alone, PyAV {av.__version__}, {threads} threads",
        ours=analysed,
        theirs=decoded,
        aim=1.1,
        note="ours starts a confined process and runs the encoder besides",
    )


def decoded_pictures(path: Path, threads: int) -> int:
    """Decode all pictures of a video, and return how many they are."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        return sum(1 for _ in container.decode(stream))


def live(frames: list[TimedFrame], networks: PhaseNetworks, terms: Terms) -> Iterator[Row]:
    """Yield the 99th percentiles of live steps while other processes keep all cores busy [ms].

    Pictures come at intervals and the step sleeps between them, as it does when it follows an
    operation.
    """
    n = 20 if terms.is_small else N_LIVE
    of_pictures, of_features = [], []
    with busy(BURNERS):
        for _ in range(terms.rounds):
            whole, step = paced_steps(frames, networks, n)
            of_pictures.append(whole)
            of_features.append(step)
    what = f"99th percentile of {n} live steps, {BURNERS} busy processes beside them"
    for way, took in (("picture to result", of_pictures), ("features to result", of_features)):
        yield Row(
            area="phases",
            what=f"{what}, {way}",
            against="what a step may take",
            ours=tuple(took),
            theirs=(STEP_LIMIT_MS,) * len(took),
            unit="ms",
            aim=1.0,
            note="the encoder alone is most of a picture's time; a picture comes every second"
            if way.startswith("picture")
            else "head, temporal network, filter and both anticipations",
        )


def eager(frames: list[TimedFrame], networks: PhaseNetworks, rounds: int) -> Row:
    """Return the encoder's time over that of the same in torch, on one thread.

    Raises
    ------
    RuntimeError
        If the features are not the same.
    """
    encoder = import_module("benchmarks.eagerencoder").EagerEncoder(threads=1)
    small = [small_picture(frame.rgb, networks.model.picture_side) for frame in frames]
    both = encode(networks, small[0]), encoder.features(small[0])
    correlation = float(np.corrcoef(np.float64(both))[0, 1])
    if not correlation >= SAME_FEATURES:
        raise RuntimeError(f"features correlate to {correlation:.3g}")
    ours, theirs = in_turn(
        rounds,
        lambda: seconds_of(lambda: [encode(networks, picture) for picture in small]),
        lambda: seconds_of(lambda: [encoder.features(picture) for picture in small]),
    )
    return Row(
        area="phases",
        what=f"features of {len(small)} pictures, one thread",
        against="the same encoder in torch, eager, single precision",
        ours=ours,
        theirs=theirs,
        aim=1.0,
        note=f"ours in eight bits; features of a picture correlate to {correlation:.4f}",
    )


def paced_steps(frames: list[TimedFrame], networks: PhaseNetworks, n: int) -> tuple[float, float]:
    """Return the 99th percentiles of steps from pictures, and from their features on [ms]."""
    stepper, again = PhaseStepper(networks), PhaseStepper(networks)
    whole, step = [], []
    for index in range(n):
        frame = frames[index % len(frames)]
        sleep(EVERY_S)
        began = perf_counter()
        (made,) = stepper.push_kept(TimedFrame(t_seconds=float(index), rgb=frame.rgb))
        whole.append(perf_counter() - began)
        sleep(EVERY_S)
        began = perf_counter()
        again.take(made.sight)
        step.append(perf_counter() - began)
    return 1000 * float(np.percentile(whole, 99)), 1000 * float(np.percentile(step, 99))


def peak_memory(hours: float, bundle: Path) -> Iterator[tuple[str, float]]:
    """Yield the peak memory [MiB] of decoding and analysing a long and a short video."""
    with TemporaryDirectory() as folder:
        for name, seconds in (("one minute", 60), (f"{hours:g} hours", round(3600 * hours))):
            path = Path(folder) / "long.mp4"
            write_clip(path, seconds, (96, 160), 5)
            call = [sys.executable, "-m", "benchmarks.phases", "--memory-of", str(path)]
            call += ["--bundle", str(bundle)]
            found = subprocess.run(call, capture_output=True, text=True, check=True)
            yield name, float(found.stdout)


def _analyse_alone(path: Path, networks: PhaseNetworks) -> None:
    """Analyse a video, and print this process's peak memory [MiB]."""
    analyse(pictures_of(path, 1, 0.0), networks, PhasesSettings())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--memory-of", type=Path)
    options = parser.parse_args()
    place = options.bundle or find_bundle("phases", [])
    networks = open_phases(load_bundle(place), "cholecystectomy")
    if options.memory_of:
        _analyse_alone(options.memory_of, networks)
        return
    with TemporaryDirectory() as folder:
        path = options.video or Path(folder) / "clip.mp4"
        if options.video is None:
            write_clip(path, CLIP_S, SHAPE, RATE_HZ)
        rates, frames = stage_rates(path, networks)
        print(f"decode  {rates.decode:8.0f} pictures/s, {rates.decode / RATE_HZ:.0f}x real time")
        print(f"encoder {rates.encode:8.1f} pictures/s")
        print(f"step    {rates.step:8.0f} pictures/s")
        seconds = float(len(frames))
        factor = real_time_factor(path, options.minutes, seconds, networks)
        print(f"case of {options.minutes:g} min at 1 picture/s: {factor:.0f}x real time")
        for load in (0, 2):
            p50, p99 = live_latency(frames, networks, 10, load)
            print(f"live step, {load} busy processes beside it: p50 {p50:.1f}, p99 {p99:.1f} ms")
    for name, peak in peak_memory(options.hours, place):
        print(f"peak memory, {name} of video: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
