"""Associations with other systems: opened, watched, and every foreign failure translated.

pynetdicom waits without end where a peer stops in the middle of a PDU, and its limit is for a whole
message where it has one. Here a peer may take as long as it needs, and may be silent for no longer
than ``timeout_s``: a thread ends the connection of one that is.

References
----------
.. [P38] DICOM PS3.8, 9.3.4, A-ASSOCIATE-RJ: what a peer refuses an association with.
.. [P37] DICOM PS3.7, D.3.3.4, SCP/SCU Role Selection Negotiation.
.. [P315] DICOM PS3.15, B.12, the TLS profiles.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AddressInformation, AssociationSocket

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from pipeline.gateways.silence import silence
from pipeline.gateways.tls import client_context

silence()

REJECTED_TRANSIENT = 2
"""Result of A-ASSOCIATE-RJ: not now [P38]_."""

PRESENTATION_PROVIDER = 3
"""Source of A-ASSOCIATE-RJ whose reasons are all of a peer that is busy [P38]_."""

GRACE_S = 1.0
"""Time for an A-ABORT to leave before the connection is ended [s]."""

Handler = tuple[Any, Callable[..., Any]] | tuple[Any, Callable[..., Any], list[Any]]
"""An event of pynetdicom, what is called for it, and with which arguments besides."""


@contextmanager
def associate(
    node: Node,
    contexts: Sequence[PresentationContext],
    settings: Configuration,
    *,
    handlers: Sequence[Handler] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """Hold an association with a node; it is released at the end, or aborted on a failure.

    Parameters
    ----------
    node
        The other system.
    contexts
        What is asked for: 128 at most. One that is refused is for the caller to find.
    settings
        The site's: its title, its TLS, its largest PDU.
    handlers
        Handlers of pynetdicom's events.
    roles
        Roles that are asked for besides [P37]_.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, is busy, is silent for too long, or ends the association.
    PeerRefused
        If it refuses the association, or all that is asked for.
    UnusableCall
        If it has no application entity, or the site's certificate cannot be read.
    """
    line = _Line(node)
    association = _opened(line, contexts, settings, handlers, roles)
    try:
        _check_accepted(line, association, settings)
        yield association
    except (PeerUnavailable, RuntimeError) as problem:
        # pynetdicom raises RuntimeError where the association is gone.
        is_known = isinstance(problem, PeerUnavailable) and not line.was_silent
        if is_known or not line.is_lost(association):
            raise
        raise line.lost() from None
    else:
        association.release()
    finally:
        line.end(association)


def echo(node: Node, settings: Configuration) -> float:
    """Ask a node whether it is there (C-ECHO, PS3.4, A), and return how long that took [s].

    The time is from the first packet of the connection to the answer.

    Raises
    ------
    PeerUnavailable
        If the node does not answer.
    PeerRefused
        If it refuses.
    UnusableCall
        If it has no application entity.
    """
    began = time.monotonic()
    with associate(node, [build_context(Verification)], settings) as association:
        status = answered(association.send_c_echo(), node)
        if status != 0:
            raise PeerRefused(f"{place(node)}: C-ECHO was answered {status:04X}")
        return time.monotonic() - began


def place(node: Node) -> str:
    """Return where a node's application entity is, for a message."""
    return f"{node.ae_title} at {node.host}:{node.port}"


def answered(status: Dataset, node: Node) -> int:
    """Return the status of a response.

    Raises
    ------
    PeerUnavailable
        If there was none: the association ended, or what came was no response.
    """
    if "Status" not in status:
        raise PeerUnavailable(f"{place(node)}: the association ended without an answer")
    return int(status.Status)


class _Entity(AE):
    """An application entity that closes the socket of a connection that failed."""

    made: AssociationSocket | None = None
    plain: socket.socket | None = None

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        """Remember what is made."""
        self.made = super()._create_socket(assoc, address, tls_args)
        self.plain = self.made.socket
        return self.made

    def close_failed(self) -> None:
        """Close what pynetdicom lets go of without closing it."""
        if self.plain is not None and self.made is not None and self.made.socket is None:
            self.plain.close()


class _Answers(queue.Queue[Any]):
    """Messages that came, of which pynetdicom's reactor gets requests only.

    Between two operations the reactor runs for a moment, and may wake when the next one has begun:
    it would take an answer off the queue and drop it, an entry of a query among them.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Return the next message; without waiting, as the reactor asks, if it is a request.

        Raises
        ------
        queue.Empty
            If there is none.
        """
        if block:
            return super().get(block, timeout)
        with self.mutex:
            message = self.queue[0][1] if self.queue else None
            if message is None or not message.is_valid_request:
                raise queue.Empty
            return self._get()


class _Line:
    """The connection of an association, and when something last went over it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._socket: socket.socket | None = None
        self._began = time.monotonic()
        self._last = time.monotonic()
        self._ended = threading.Event()
        self.was_silent = False

    @property
    def node(self) -> Node:
        """The other system."""
        return self._node

    @property
    def is_open(self) -> bool:
        """Whether there ever was a connection."""
        return self._socket is not None

    def handlers(self) -> list[Handler]:
        """Return the handlers that keep this up to date."""
        return [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_DATA_RECV, self._passed),
            (evt.EVT_DATA_SENT, self._passed),
        ]

    def _opened(self, event: evt.Event) -> None:
        """Hear that the connection is there: send without delay, and watch it."""
        wrapped = event.assoc.dul.socket
        self._socket = None if wrapped is None else wrapped.socket
        if self._socket is None:
            return
        # Nagle's algorithm waits for the peer's delayed acknowledgement at each small PDU.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        event.assoc.dimse.msg_queue = _Answers()
        self._passed(event)
        threading.Thread(target=self._watch, name="association watch", daemon=True).start()

    def _passed(self, _: evt.Event) -> None:
        """Hear that something went over the connection."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        """End the connection once it was silent for too long."""
        while True:
            left = self._last + self._node.timeout_s - time.monotonic()
            if left <= 0:
                break
            if self._ended.wait(left):
                return
        self.was_silent = True
        self._shut()

    def _shut(self) -> None:
        """End the connection under whoever waits for it."""
        if self._socket is not None:
            # Of an SSLSocket too: its own method would forget its state while others read.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def end(self, association: Association) -> None:
        """End an association for good, whatever state it is in."""
        self._ended.set()
        if association.is_established and association.dul.state_machine.current_state == "Sta6":
            association.abort(block=False)
            deadline = time.monotonic() + GRACE_S
            while association.dul.is_alive() and time.monotonic() < deadline:
                if association.dul.state_machine.current_state in ("Sta1", "Sta13"):
                    break
                time.sleep(0.002)
        with suppress(IndexError):
            # What was not sent is not sent: the state machine knows no request without connection.
            while True:
                association.dul.to_provider_queue.queue.popleft()
        self._shut()
        if association.dul.is_alive():
            association.kill()
        if self._socket is not None:
            # pynetdicom does not where the peer was faster.
            self._socket.close()

    def why_closed(self, settings: Configuration) -> str:
        """Return why there is no connection; pynetdicom tells its log only, so try it again."""
        if time.monotonic() - self._began >= self._node.timeout_s:
            return f"no connection within {self._node.timeout_s:g} s"
        where = (str(self._node.host), self._node.port)
        try:
            with socket.create_connection(where, self._node.timeout_s) as plain:
                if self._node.tls:
                    context = client_context(settings.tls)
                    context.wrap_socket(plain, server_hostname=self._node.host).close()
        except ssl.SSLCertVerificationError as problem:
            return f"no connection: its certificate is not believed ({problem.verify_message})"
        except ssl.SSLError as problem:
            return f"no connection: TLS failed ({problem.reason or 'no reason given'})"
        except OSError as problem:
            return f"no connection: {problem.strerror or type(problem).__name__}"
        return "no connection"

    def is_lost(self, association: Association) -> bool:
        """Tell whether the association has ended by itself."""
        return self.was_silent or not association.is_established

    def lost(self) -> PeerUnavailable:
        """Return the failure of an association that has ended."""
        if self.was_silent:
            return self.unavailable(f"silent for {self._node.timeout_s:g} s")
        return self.unavailable("the association ended")

    def unavailable(self, reason: str) -> PeerUnavailable:
        """Return a failure that may pass."""
        return PeerUnavailable(f"{place(self._node)}: {reason}")


def _opened(
    line: _Line,
    contexts: Sequence[PresentationContext],
    settings: Configuration,
    handlers: Sequence[Handler],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> Association:
    """Ask for an association and return it, accepted or not."""
    node = line.node
    if node.ae_title is None or node.host is None:
        raise UnusableCall("the node has no ae_title: it is reached by DICOMweb only")
    entity = _Entity(ae_title=node.calling or settings.receive.ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = node.timeout_s
    # Later than the watch, which also ends what waits in the middle of a PDU.
    entity.acse_timeout = node.timeout_s + GRACE_S
    entity.dimse_timeout = None
    entity.network_timeout = None
    try:
        return entity.associate(
            node.host,
            node.port,
            contexts=list(contexts),
            ae_title=node.ae_title,
            max_pdu=settings.receive.pdu_bytes,
            ext_neg=cast("Any", list(roles)) or None,
            tls_args=(client_context(settings.tls), node.host) if node.tls else None,
            evt_handlers=cast("Any", [*line.handlers(), *handlers]),
        )
    except OSError as problem:
        raise line.unavailable(problem.strerror or type(problem).__name__) from None
    finally:
        entity.close_failed()


def _check_accepted(line: _Line, association: Association, settings: Configuration) -> None:
    """Raise why an association was not accepted, if it was not."""
    if association.is_established:
        return
    where = place(line.node)
    if association.is_rejected:
        answer = cast("Any", association.acceptor.primitive)
        told = f"{answer.result_str}, {answer.source_str}: {answer.reason_str}"
        is_busy = answer.result_source == PRESENTATION_PROVIDER
        if answer.result == REJECTED_TRANSIENT or is_busy:
            raise line.unavailable(told)
        raise PeerRefused(f"{where}: {told}")
    if association.rejected_contexts and not association.accepted_contexts:
        names = {
            UID(str(context.abstract_syntax)).name for context in association.rejected_contexts
        }
        some = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
        raise PeerRefused(f"{where}: accepts none of what is asked for: {some}")
    if line.was_silent:
        raise line.lost()
    if not line.is_open:
        raise line.unavailable(line.why_closed(settings))
    raise line.unavailable("ended the connection without an answer")
