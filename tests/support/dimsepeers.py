"""Peers of the gateways' tests: application entities that do as a test says."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE
from pynetdicom.sop_class import Verification

from pipeline.connections import Node


def node_at(port: int, **changes: Any) -> Node:
    """Return a node on this machine."""
    return Node(
        **{"ae_title": "PEER", "host": "127.0.0.1", "port": port, "timeout_s": 3, **changes}
    )


@contextmanager
def served(
    contexts: Sequence[Any] = (Verification,),
    handlers: Sequence[Any] = (),
    prepare: Callable[[AE], None] = lambda _: None,
    port: int = 0,
    **start: Any,
) -> Iterator[int]:
    """Serve an application entity PEER, and give its port."""
    entity = AE(ae_title="PEER")
    for context in contexts:
        entity.add_supported_context(context)
    prepare(entity)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=list(handlers), **start
    )
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections by a function, each once; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        opened: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                opened.append(connection)
                try:
                    answer(connection)
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for connection in opened:
                connection.close()
            thread.join(5)
