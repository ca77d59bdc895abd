"""The processes that receive: associations on one port, shared, and STOW-RS beside them.

Each process has its own connection to the ledger and takes associations from the same socket. One
that dies takes its associations with it and nothing that was answered for; the receiver then ends,
and whoever runs it starts it again.
"""

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from pipeline.config import Configuration
from pipeline.errors import UnusableCall
from pipeline.gateways.secret import read_secret
from pipeline.gateways.services import receiver_contexts
from pipeline.gateways.tls import server_context
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.ledger import Ledger
from pipeline.receive.announcements import announcement_handler
from pipeline.receive.callers import Callers
from pipeline.receive.inbox import Inbox
from pipeline.receive.refusals import Refusals
from pipeline.receive.server import ReceivingServer, application_entity, receiving_handlers
from workers.bound import end_with
from workers.ending import told_to_end
from workers.presence import presence
from workers.reports import report_handler

LOG = logging.getLogger(__name__)

WAITING_CONNECTIONS = 128
"""Connections that wait to be accepted."""

LOOK_S = 0.2
"""Time between two looks at the processes [s]."""

ENDS_S = 10.0
"""Time that associations have to end by themselves when the receiver ends [s]."""


Task = Callable[[threading.Event], None]
"""What a process does; the event says that it was told to end before it could listen for that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """What a process receives with."""

    configuration: Configuration
    """The site's settings."""

    place: str
    """Where the ledger is."""

    inbox: Path
    """Folder for what is received."""

    dimse: socket.socket
    """Socket that listens for associations."""


def run_receiver(configuration: Configuration, place: str, inbox: Path) -> int:
    """Receive until told to end by SIGTERM or SIGINT, or until one of its processes dies.

    Returns
    -------
        The exit status.

    Raises
    ------
    UnusableCall
        If a port is taken, or a file that the settings name cannot be read.
    """
    settings = configuration.receive
    Ledger.open(place).close()
    if settings.tls:
        server_context(configuration.tls)
    with ExitStack() as held:
        dimse = held.enter_context(_listening(settings.host, settings.port))
        post = Post(configuration=configuration, place=place, inbox=inbox, dimse=dimse)
        tasks: list[Task] = [partial(_receive, post)] * settings.processes
        if settings.http_port is not None:
            http = held.enter_context(_listening(settings.host, settings.http_port))
            tasks.append(partial(_serve_stow, post, http))
            LOG.info("STOW-RS on port %d", http.getsockname()[1], extra={"action": "stow_open"})
        LOG.info(
            "%s on port %d",
            settings.ae_title,
            dimse.getsockname()[1],
            extra={"action": "receiver_open"},
        )
        with presence(place, "receiver", watches=False):
            return _tended(tasks)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    UnusableCall
        If it cannot.
    """
    try:
        return socket.create_server((host, port), backlog=WAITING_CONNECTIONS)
    except OSError as problem:
        raise UnusableCall(f"{host}:{port}: cannot listen ({problem.strerror})") from problem


def _tended(tasks: list[Task]) -> int:
    """Run tasks, each in a process of its own, until told to end or until one has ended."""
    # Forked before anything is opened that must not be shared.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_bound, args=(os.getpid(), task)) for task in tasks]
    for process in processes:
        process.start()
    ending = told_to_end()
    while not ending.wait(LOOK_S):
        if any(process.exitcode is not None for process in processes):
            break
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(2 * ENDS_S)
        process.kill()
    return 0 if ending.is_set() else 1


def _bound(parent: int, task: Task) -> None:
    """Run a task that ends with its parent."""
    end_with(parent)
    # Ctrl-C reaches all processes at once; the parent tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = threading.Event()
    # Until the task has its own way to end: a signal that comes while it opens is not forgotten.
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    threading.excepthook = _told
    task(told)


def _told(failure: threading.ExceptHookArgs) -> None:
    """Log that a thread has failed; what Python would print may quote what a peer has sent."""
    LOG.error(
        "a thread has failed (%s)", failure.exc_type.__name__, extra={"action": "thread_failed"}
    )


def _receive(post: Post, told: threading.Event) -> None:
    """Take associations until told to end."""
    settings = post.configuration.receive
    with Ledger.open(post.place) as ledger:
        inbox = Inbox.open(post.inbox, ledger, settings)
        ae = application_entity(settings, receiver_contexts())
        server = ReceivingServer(
            post.dimse,
            ae,
            inbox=inbox,
            settings=settings,
            tls=server_context(post.configuration.tls) if settings.tls else None,
            handlers=(
                *receiving_handlers(inbox, Callers.parse(settings.callers), Refusals(ledger).note),
                announcement_handler(Arrivals(ledger), settings.ask_s),
                report_handler(ledger),
            ),
        )

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Its loop runs in this thread, and must not wait for itself.
            threading.Thread(target=server.stop_accepting, daemon=True).start()

        signal.signal(signal.SIGTERM, end)
        if told.is_set():
            return
        server.serve_forever(poll_interval=LOOK_S)
        server.end_associations(ENDS_S)


def _serve_stow(post: Post, http: socket.socket, told: threading.Event) -> None:
    """Serve STOW-RS until told to end."""
    from pipeline.receive.stow import stow_application, stow_server

    settings = post.configuration.receive
    token = None if settings.http_token is None else _token(settings.http_token)
    tls = partial(server_context, post.configuration.tls) if settings.tls else None
    with Ledger.open(post.place) as ledger:
        inbox = Inbox.open(post.inbox, ledger, settings)
        application = stow_application(inbox, token, settings.silent_s)
        server = stow_server(application, tls, first_s=settings.first_s, ends_s=ENDS_S)

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Before uvicorn takes the signal over, and after: it raises it once more at its end.
            server.should_exit = True

        signal.signal(signal.SIGTERM, end)
        server.should_exit = told.is_set()
        server.run(sockets=[http])
    # A thread that waits for a client yet would keep the process; nothing of it is answered for.
    os._exit(0)


def _token(path: Path) -> str:
    """Return the token that a file holds.

    Raises
    ------
    UnusableCall
        If there is none.
    """
    token = read_secret(path)
    if not token:
        raise UnusableCall(f"{path}: holds no token")
    return token
