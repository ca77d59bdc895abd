"""A C-STORE straight from its socket to its file; every other message goes the library's way.

pynetdicom puts each PDU through queues, a state machine and two threads that look for work a
thousand times a second, and holds data sets in memory. Of an association that is established, this
takes the C-STOREs out before: the thread that reads the socket reads one whole, writes its
fragments to the inbox as they come, and answers. What is read at a time is bounded before the
association (by ``LONGEST_REQUEST``) and within it (by the length that the sender was told).
"""

import select
import socket
import ssl
from collections.abc import Iterator
from time import monotonic

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from pipeline.receive.inbox import Inbox, Offer
from pipeline.receive.keeper import Storing
from pipeline.receive.messages import (
    P_DATA_TF,
    PDU_HEADER,
    Fragment,
    StoreRequest,
    fragments,
    store_request,
    store_response,
)

LONGEST_REQUEST = 1 << 20
"""Longest PDU that is read before an association is established [byte]."""

SLACK = 1024
"""What a P-DATA may be longer than the sender was told [byte]: some count their headers in."""

LINGER_S = 0.05
"""Time that the next message is waited for before the library looks after its timers [s]."""

ESTABLISHED = "Sta6"
"""State of PS3.8, 9.2 in which data is transferred."""

CLOSED, INVALID = "Evt17", "Evt19"
"""Events of PS3.8, 9.2: the connection is closed, a PDU is invalid."""


class BoundedSocket(AssociationSocket):
    """A socket that reads no more than is reasonable, in a time that is.

    Parameters
    ----------
    assoc
        The association.
    client_socket
        The connection.
    patience_s
        Time in which a PDU must be read [s].
    """

    def __init__(self, assoc: Association, client_socket: socket.socket, patience_s: float) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self.patience_s = patience_s

    def recv(self, nr_bytes: int) -> bytearray:
        """Read bytes; fewer if the connection is closed before.

        Raises
        ------
        OSError
            If they are too many, or take too long.
        """
        if nr_bytes > LONGEST_REQUEST:
            raise OSError("a PDU is longer than any that is expected")
        return self.read(nr_bytes)

    def read(self, length: int) -> bytearray:
        """Read bytes that are not too many; fewer if the connection is closed before.

        Raises
        ------
        OSError
            If they take too long.
        """
        if self.socket is None:
            return bytearray()
        content = bytearray(length)
        rest = memoryview(content)
        until = monotonic() + self.patience_s
        while rest:
            left_s = until - monotonic()
            if left_s <= 0:
                raise TimeoutError
            self.socket.settimeout(left_s)
            n_read = self.socket.recv_into(rest)
            if n_read == 0:
                n_all = length - len(rest)
                rest.release()
                return content[:n_all]
            rest = rest[n_read:]
        return content

    def has_more(self, within_s: float) -> bool:
        """Tell whether bytes can be read, or come within a time."""
        if self.socket is None:
            return False
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        return bool(select.select([self.socket], [], [], within_s)[0])


class _Other(Exception):
    """A PDU that carries no message came in the middle of one."""

    def __init__(self, pdu: bytearray) -> None:
        super().__init__()
        self.pdu = pdu


class StoringProvider(DULServiceProvider):
    """The upper layer of an association whose C-STOREs go straight to an inbox.

    Parameters
    ----------
    assoc
        The association.
    inbox
        Keeps the instances.
    """

    def __init__(self, assoc: Association, inbox: Inbox) -> None:
        super().__init__(assoc)
        self._inbox = inbox

    def _read_pdu_data(self) -> None:
        """Read what the peer has sent: messages one after the other while they are C-STOREs."""
        if self.state_machine.current_state != ESTABLISHED:
            super()._read_pdu_data()
            return
        # The association's own thread would look for messages in vain.
        self.assoc._reactor_checkpoint.clear()  # noqa: SLF001 - the library has no other door
        try:
            while self._took_message() and not self._kill_thread:
                self._idle_timer.restart()
                if not self._connection.has_more(LINGER_S):
                    break
        except (OSError, ValueError):
            self.event_queue.put(CLOSED)
        finally:
            self.assoc._reactor_checkpoint.set()  # noqa: SLF001 - the library has no other door

    @property
    def _connection(self) -> BoundedSocket:
        """The connection."""
        assert isinstance(self.socket, BoundedSocket)  # noqa: S101 - what the server gives it
        return self.socket

    def _took_message(self) -> bool:
        """Take a message if it is a C-STORE; hand everything else on."""
        pdu = self._pdu()
        if pdu is None:
            self.event_queue.put(CLOSED)
            return False
        if pdu[0] != P_DATA_TF:
            return self._hand_on(pdu)
        parts = fragments(pdu)
        first = next(parts, None)
        if first is None or not (first.is_command and first.is_last):
            return self._hand_on(pdu)
        request = store_request(first.content)
        if request is None or not self._is_accepted(first.context_id, request):
            return self._hand_on(pdu)
        return self._store(first.context_id, request, parts)

    def _store(self, context_id: int, request: StoreRequest, parts: Iterator[Fragment]) -> bool:
        """Take a data set and answer; False if something else came in the middle of it."""
        accepted = self.assoc._accepted_cx[context_id]  # noqa: SLF001 - a public property copies it
        title = self.assoc.requestor.ae_title.strip()
        storing = Storing(
            self._inbox,
            Offer(
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=request.sop_instance_uid,
                transfer_syntax_uid=str(accepted.transfer_syntax[0]),
                sender=f"c-store {title}",
            ),
        )
        try:
            for part in self._data_set(context_id, parts):
                storing.write(part.content)
            answer = storing.answer()
        except _Other as other:
            return self._hand_on(other.pdu)
        finally:
            storing.give_up()
        self._connection.send(store_response(context_id, request, answer.status, answer.comment))
        return True

    def _data_set(self, context_id: int, parts: Iterator[Fragment]) -> Iterator[Fragment]:
        """Yield the parts of a data set to its last.

        Raises
        ------
        _Other
            If the peer sends something else, such as an abort.
        OSError
            If the connection is closed, or a PDU takes too long.
        ValueError
            If a message begins within another.
        """
        while True:
            for part in parts:
                if part.is_command or part.context_id != context_id:
                    raise ValueError("a message within another")
                yield part
                if part.is_last:
                    return
            pdu = self._pdu()
            if pdu is None:
                raise ConnectionResetError
            if pdu[0] != P_DATA_TF:
                raise _Other(pdu)
            parts = fragments(pdu)

    def _is_accepted(self, context_id: int, request: StoreRequest) -> bool:
        """Tell whether a presentation context was accepted for what is stored."""
        accepted = self.assoc._accepted_cx.get(context_id)  # noqa: SLF001 - see above
        return accepted is not None and accepted.abstract_syntax == request.sop_class_uid

    def _pdu(self) -> bytearray | None:
        """Read a PDU; None if the connection is closed.

        Raises
        ------
        OSError
            If it is longer than the peer was told, or takes too long.
        """
        header = self._connection.read(PDU_HEADER)
        if len(header) < PDU_HEADER:
            return None
        length = int.from_bytes(header[2:], "big")
        if length > (self.assoc.acceptor.maximum_length or LONGEST_REQUEST) + SLACK:
            raise OSError("a PDU is longer than was told")
        rest = self._connection.read(length)
        return header + rest if len(rest) == length else None

    def _hand_on(self, pdu: bytearray) -> bool:
        """Give a PDU to the library, as it reads its own."""
        try:
            decoded, event = self._decode_pdu(pdu)
        except (ValueError, KeyError, NotImplementedError, IndexError):
            self.event_queue.put(INVALID)
            return False
        self.event_queue.put(event)
        self._recv_pdu.put(decoded)
        return False
