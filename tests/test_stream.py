"""Following an operation: the same bits as a recorded one, across restarts, from every source."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import av
import pytest

from pipeline.analyses.phases.analysis import analyse
from pipeline.analyses.phases.settings import PhasesSettings
from pipeline.errors import UnusableCall
from pipeline.ingest.inventory import take_inventory
from pipeline.stream import StreamRequest, follow, second_values
from pipeline.streamserver import Broadcast, served
from pipeline.study import VideoSeries
from tests.support.phases import open_tiny, write_tiny_phases
from tests.support.videos import write_dicom_video, write_video

SECONDS = 24


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_phases(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.ts"
    write_video(path, 25 * SECONDS)
    return path


def followed(source: Path, bundle: Path, **options: object) -> list[dict[str, object]]:
    """Follow a file as fast as it goes, and return its seconds."""
    told: list[dict[str, object]] = []
    request = StreamRequest(source=str(source), at_own_pace=False, **options)
    follow(request, open_tiny(bundle), lambda result: told.append(second_values(result)))
    return told


def command(*words: str | Path) -> list[str]:
    """Return a call of the command."""
    return [sys.executable, "-m", "pipeline.cli", "stream", *map(str, words)]


def seconds_of(output: str) -> list[dict[str, object]]:
    """Return the seconds that a call with ``--json`` printed."""
    return [json.loads(line) for line in output.splitlines()]


def test_a_stream_gives_the_bits_of_a_recorded_video(bundle: Path, video: Path) -> None:
    (candidate,) = take_inventory([video]).candidates
    series = candidate.load()
    assert isinstance(series, VideoSeries)
    recorded = analyse(series.pictures(1.0), open_tiny(bundle), PhasesSettings())
    filtered = []
    follow(
        StreamRequest(source=str(video), at_own_pace=False),
        open_tiny(bundle),
        lambda result: filtered.append((result.t_seconds, result.filtered.tobytes())),
    )
    rows = zip(recorded.t_seconds.tolist(), recorded.filtered, strict=True)
    assert filtered == [(t, row.tobytes()) for t, row in rows]


def test_a_stream_that_was_killed_goes_on_at_the_same_second(
    bundle: Path, video: Path, tmp_path: Path
) -> None:
    whole = followed(video, bundle)
    state, printed = tmp_path / "state", tmp_path / "printed"
    call = command(video, "--json", "--state", state, "--models", bundle)
    with printed.open("wb") as output:
        running = subprocess.Popen(call, stdout=output)
        deadline = time.monotonic() + 60
        while printed.read_bytes().count(b"\n") < 13 and time.monotonic() < deadline:
            time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
        running.wait()
    before = seconds_of(printed.read_text())
    rest = subprocess.run([*call, "--fast"], capture_output=True, text=True, check=True)
    after = seconds_of(rest.stdout)
    assert after[0]["index"] == 10
    assert before[:10] + after == whole
    assert before == whole[: len(before)]


def test_a_stream_that_was_interrupted_has_saved_its_last_second(
    bundle: Path, video: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    call = command(video, "--json", "--state", state, "--models", bundle)
    running = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(4)]
    running.send_signal(signal.SIGINT)
    lines += running.stdout.readlines()
    running.stdout.close()
    assert running.wait() == 130
    rest = subprocess.run([*call, "--fast"], capture_output=True, text=True, check=True)
    indices = [s["index"] for s in seconds_of("".join(lines) + rest.stdout)]
    assert indices == list(range(SECONDS))


def test_a_state_of_another_bundle_is_refused(bundle: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"no state")
    with pytest.raises(UnusableCall, match="saved state: damaged"):
        followed(video, bundle, state=tmp_path / "state")


def test_a_dicom_object_is_followed_as_a_file_is(bundle: Path, tmp_path: Path) -> None:
    path = write_dicom_video(tmp_path / "a.dcm", 75)
    assert [s["t_seconds"] for s in followed(path, bundle)] == [0.0, 1.0, 2.0]


def test_standard_input_is_followed(bundle: Path, video: Path) -> None:
    with video.open("rb") as source:
        found = subprocess.run(
            command("-", "--json", "--models", bundle),
            stdin=source,
            capture_output=True,
            text=True,
            check=True,
        )
    assert seconds_of(found.stdout) == followed(video, bundle)
    assert f"{SECONDS} pictures, latency p50 " in found.stderr


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send(video: Path, port: int, pace: float) -> None:
    """Send a transport stream by UDP, so many times faster than it was recorded."""
    with (
        av.open(str(video)) as source,
        av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", mode="w", format="mpegts") as target,
    ):
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        began = time.monotonic()
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            late = float(packet.dts * packet.time_base) / pace - (time.monotonic() - began)
            time.sleep(max(0.0, min(late, 0.2)))
            packet.stream = copied
            target.mux(packet)


def wait_until_bound(port: int) -> None:
    """Wait until somebody listens for datagrams: what is sent before is lost."""
    until = time.monotonic() + 60
    while f":{port:04X} " not in Path("/proc/net/udp").read_text():
        assert time.monotonic() < until, "nobody listens"
        threading.Event().wait(0.1)


def test_a_transport_stream_by_udp_is_followed(bundle: Path, video: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    call = command(
        f"udp://127.0.0.1:{port}?timeout=4000000&fifo_size=100000", "--json", "--models", bundle
    )
    running = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    wait_until_bound(port)
    send(video, port, pace=4.0)
    printed, _ = running.communicate(timeout=60)
    times = [s["t_seconds"] for s in seconds_of(printed)]
    # What is sent before the first key picture is not shown.
    assert len(times) >= SECONDS - 3
    assert times == [float(n) for n in range(len(times))]


def test_the_present_second_is_served_on_this_machine_only(bundle: Path, video: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    call = command(video, "--serve", str(port), "--json", "--models", bundle)
    running = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stderr.readline().strip() == f"http://127.0.0.1:{port}/state"
    first = json.loads(running.stdout.readline())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=5) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert json.loads(answer.read())["index"] >= first["index"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=5) as events:
        lines = [events.readline().decode() for _ in range(4)]
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [s["index"] for s in told] == [told[0]["index"], told[0]["index"] + 1]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/else", timeout=5)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)


def test_a_listener_gets_every_second_of_many_at_once() -> None:
    broadcast = Broadcast()
    with (
        served(broadcast, 0) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=5) as events,
    ):
        for index in range(50):
            broadcast.tell({"index": index})
        heard = [events.readline().decode() for _ in range(100)]
    told = [json.loads(line.removeprefix("data: ")) for line in heard if line.startswith("data: ")]
    assert [second["index"] for second in told] == list(range(50))


def test_a_source_that_is_none_is_named_without_its_address(bundle: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        command(tmp_path / "none.mp4", "--models", bundle),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "none.mp4: no file" in found.stderr
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        command("rtsp://user:secret@127.0.0.1:9/x", "--models", bundle),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )
    assert found.returncode == 2
    assert "rtsp: cannot be reached" in found.stderr
    assert "secret" not in found.stderr
