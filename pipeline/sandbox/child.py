"""A reader: does what it is asked for, one request after the other, and answers."""

import importlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import PipelineError
from pipeline.sandbox.wire import HEAD, packed, unpacked

PULSE_S = 2.0
"""A reader that is at work on a stream says so as often [s]."""

_session: list[int] = []
"""Where answers go, in a process that is a reader."""

_last_sent = [0.0]


def serve(session: int, cpu_s: float) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    session
        Descriptor that requests come from and answers go to.
    cpu_s
        Time of processors after which an answer ends the process by SIGPROF [s]; 0 sets no end.
    """
    _session.append(session)
    while (request := _received(session)) is not None:
        address, arguments, is_stream = request
        module, _, name = address.partition(":")
        function = getattr(importlib.import_module(module), name)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        for answer in _answers(function, arguments, is_stream=is_stream):
            _send(session, answer)
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def pulse() -> None:
    """Say that work goes on; does nothing in a process that is no reader."""
    if _session and time.monotonic() - _last_sent[0] > PULSE_S:
        _send(_session[0], ("pulse", None))


def _answers(
    function: Callable[..., Any], arguments: tuple[object, ...], *, is_stream: bool
) -> Iterator[tuple[str, object]]:
    """Yield what a request comes to; any other failure ends the process, and is told by that."""
    try:
        if is_stream:
            for item in function(*arguments):
                yield "item", item
            yield "end", None
        else:
            yield "result", function(*arguments)
    except PipelineError as problem:
        yield "refused", (type(problem).__name__, str(problem))
    except OSError as problem:
        yield "system", (problem.errno, problem.strerror)
    except MemoryError:
        yield "memory", None


def _received(session: int) -> tuple[str, tuple[object, ...], bool] | None:
    """Return the next request; None if there are no more."""
    head = _read(session, HEAD.size)
    if len(head) < HEAD.size:
        return None
    n_document, n_content = HEAD.unpack(head)
    document, content = _read(session, n_document), _read(session, n_content)
    found: tuple[str, tuple[object, ...], bool] = unpacked(bytes(document), content, _named)
    return found


def _named(name: str) -> type:
    """Return the class of a name: whoever asks is trusted."""
    module, _, qualified = name.partition(":")
    found: type = getattr(importlib.import_module(module), qualified)
    return found


def _read(session: int, length: int) -> bytearray:
    """Return bytes; fewer if there are no more."""
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        n_read = os.readv(session, [rest])
        if n_read == 0:
            n_all = length - len(rest)
            rest.release()
            return content[:n_all]
        rest = rest[n_read:]
    return content


def _send(session: int, answer: tuple[str, object]) -> None:
    """Send an answer."""
    for piece in packed(answer):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(session, rest) :]
    _last_sent[0] = time.monotonic()
