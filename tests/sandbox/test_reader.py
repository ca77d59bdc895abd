"""A reader does one thing; whatever becomes of it costs one input and nothing else."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InconsistentSeries, UnreadableFile
from pipeline.sandbox import reader as module
from pipeline.sandbox.confine import holds
from pipeline.sandbox.reader import Allowance, Reader, Task

HOSTILE = "tests.support.hostile"
MIB = 1 << 20


def reader(
    *readable: Path, memory: int = 128 * MIB, time_s: float = 30.0, cpu_s: float = 0.0
) -> Reader:
    allowance = Allowance(
        readable=readable,
        memory_bytes=memory,
        time_s=time_s,
        answer_bytes=64 * MIB,
        cpu_s=cpu_s,
    )
    return Reader("a.h5", allowance, HOSTILE)


def task(name: str) -> Task:
    return Task(address=f"{HOSTILE}:{name}")


def test_a_file_that_may_be_read_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    with reader(path) as own:
        assert own.call(task("read"), str(path)) == b"content"
        assert own.call(task("attempt"), "thread", "") == "done"


@pytest.mark.parametrize("what", ["read", "write", "remove", "list"])
def test_other_files_are_out_of_reach(what: str, tmp_path: Path) -> None:
    if not holds().landlock:
        pytest.skip("this kernel has no Landlock")
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"content")
    other.write_bytes(b"secret")
    with reader(path) as own:
        assert own.call(task("attempt"), what, str(other)) == "PermissionError"
    assert other.read_bytes() == b"secret"


@pytest.mark.parametrize("what", ["listen", "unix", "fork", "run", "kill", "trace"])
def test_other_processes_and_networks_are_out_of_reach(what: str) -> None:
    if not holds().seccomp:
        pytest.skip("this machine's system calls are not filtered")
    with reader() as own:
        assert own.call(task("attempt"), what, "") in ("PermissionError", "BlockingIOError")


def test_the_own_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    with reader(path) as own:
        assert own.call(task("attempt"), "write", str(path)) in ("PermissionError", "OSError")
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGSEGV, r"ended by signal 11 \(SIGSEGV\)"),
        (signal.SIGABRT, r"ended by signal 6 \(SIGABRT\)"),
        (signal.SIGBUS, r"ended by signal 7 \(SIGBUS\)"),
    ],
)
def test_a_crash_is_told_by_its_signal(number: signal.Signals, said: str) -> None:
    with reader() as own, pytest.raises(UnreadableFile, match=rf"a\.h5: .* {said}"):
        own.call(task("crash"), int(number))


def test_an_overrun_costs_one_input() -> None:
    with reader() as own, pytest.raises(UnreadableFile, match="signal 11"):
        own.call(task("overrun"))
    with reader() as own:
        assert own.call(task("array"), 3).tolist() == [0.0, 1.0, 2.0]


def test_memory_is_bounded() -> None:
    with reader(memory=64 * MIB) as own:
        before = own.call(task("peak"))
        with pytest.raises(UnreadableFile, match="more than 67108864 bytes of memory, the limit"):
            own.call(task("eat"), 1350 * MIB)
        assert own.call(task("eat"), 32 * MIB) == 32 * MIB
        assert own.call(task("peak")) - before < 128 * MIB


def test_time_is_bounded() -> None:
    with reader(time_s=0.5) as own, pytest.raises(UnreadableFile, match=r"longer than 0\.5 s"):
        own.call(task("spin"))


def test_time_of_a_processor_is_bounded_for_each_answer() -> None:
    said = r"took more than 0\.5 s of a processor"
    with reader(time_s=60, cpu_s=0.5) as own:
        for _ in range(4):
            own.call(task("compute"), 0.2)
        with pytest.raises(UnreadableFile, match=said):
            own.call(task("compute"), 30.0)


def test_an_answer_is_bounded() -> None:
    with reader(memory=512 * MIB) as own, pytest.raises(UnreadableFile, match="limit 67108864"):
        own.call(task("array"), 20 * MIB)


def test_what_a_reader_says_of_its_input_is_raised_here() -> None:
    with reader() as own:
        with pytest.raises(InconsistentSeries, match=r"^a\.h5: two lines$"):
            own.call(task("refuse"))
        with pytest.raises(FileNotFoundError):
            own.call(task("missing"))


@pytest.mark.parametrize(("name", "said"), [("leave", "status 3"), ("fail", "status 1")])
def test_a_reader_that_ends_is_told_by_its_status(name: str, said: str) -> None:
    with reader() as own, pytest.raises(UnreadableFile, match=said):
        own.call(task(name))


def test_a_stream_comes_as_it_goes_on() -> None:
    with reader() as own:
        assert list(own.stream(task("numbers"), 5)) == [0, 1, 2, 3, 4]
        assert list(own.stream(task("numbers"), 0)) == []


def test_a_stream_that_breaks_off_gives_what_came_before() -> None:
    with reader() as own:
        numbers = own.stream(task("breaks_off"), 3)
        assert [next(numbers) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(UnreadableFile, match="signal 11"):
            next(numbers)


def test_a_reader_at_work_is_waited_for() -> None:
    with reader(time_s=3.5) as own:
        assert list(own.stream(task("slow"), 10, 0.5)) == [10]


def test_a_reader_that_nobody_waits_for_ends() -> None:
    with reader() as own:
        own._ask(task("spin"), (), is_stream=False)
        status = os.dup(own._status.fileno())
    own._status.close()
    os.set_blocking(status, True)
    os.close(status)
    # The nursery still makes others: the one that span is out of its way.
    with reader() as other:
        assert other.call(task("array"), 1).tolist() == [0.0]


def test_readers_of_several_threads_do_not_meet() -> None:
    found: dict[int, list[float]] = {}

    def ask(n: int) -> None:
        for _ in range(5):
            with reader() as own:
                found[n] = own.call(task("array"), n).tolist()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: np.arange(n).tolist() for n in range(1, 9)}


def test_a_nursery_that_was_killed_is_started_again() -> None:
    with reader() as own:
        own.call(task("array"), 1)
    process = module.NURSERIES._process
    assert process is not None
    process.kill()
    process.wait()
    with reader() as own:
        assert own.call(task("array"), 2).tolist() == [0.0, 1.0]


def test_a_copy_of_this_process_has_a_nursery_of_its_own() -> None:
    with reader() as own:
        own.call(task("array"), 1)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with reader() as own:
                status = 0 if own.call(task("array"), 2).tolist() == [0.0, 1.0] else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    with reader() as own:
        assert own.call(task("array"), 1).tolist() == [0.0]
