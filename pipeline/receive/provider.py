"""A C-STORE straight from its socket to its file; every other message goes the library's way.

pynetdicom puts each PDU through queues, a state machine and two threads that look for work a
thousand times a second, and holds data sets in memory. Of an association that is established, this
takes the C-STOREs out before: the thread that reads the socket reads one whole, writes its
fragments to the inbox as they come, and answers. What is read at a time is bounded before the
association (by ``LONGEST_REQUEST``) and within it (by the length that the sender was told).
"""

import logging
import select
import socket
import ssl
from collections.abc import Iterator
from time import monotonic

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.transport import AssociationSocket

from pipeline.ingest.dicomfile import PARSE_ERRORS
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

LOG = logging.getLogger(__name__)

LONGEST_REQUEST = 1 << 20
"""Longest PDU that is read before an association is established [byte]."""

LONGEST_COMMAND = 1 << 16
"""Longest command that is put together of its pieces [byte]; the library is left with others."""

LARGEST_OTHER = 1 << 24
"""What the library is given at most before it answers, since it holds that in memory [byte]."""

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
    first_s
        Time in which a request for an association must be read [s].
    patience_s
        Time in which a PDU of the association must be read [s].
    """

    def __init__(
        self, assoc: Association, client_socket: socket.socket, first_s: float, patience_s: float
    ) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self._first_until, self._patience_s = monotonic() + first_s, patience_s
        self.n_unanswered = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read bytes of a request for an association; fewer if the connection is closed before.

        Raises
        ------
        OSError
            If they are too many, or take too long.
        """
        if nr_bytes > LONGEST_REQUEST:
            raise OSError("a PDU is longer than any that is expected")
        return self._read(nr_bytes, self._first_until)

    def send(self, bytestream: bytes) -> None:
        """Send bytes: an answer to all that has come."""
        self.n_unanswered = 0
        super().send(bytestream)

    def read(self, length: int) -> bytearray:
        """Read bytes that are not too many; fewer if the connection is closed before.

        Raises
        ------
        OSError
            If they take too long.
        """
        return self._read(length, monotonic() + self._patience_s)

    def _read(self, length: int, until: float) -> bytearray:
        """Read bytes until a time at the latest."""
        if self.socket is None:
            return bytearray()
        content = bytearray(length)
        rest = memoryview(content)
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

    def run_reactor(self) -> None:
        """Do as the library does, but end the association where it stumbles on what a peer sends.

        What it raises then may quote that, and is told by its class alone.
        """
        try:
            super().run_reactor()
        except (*PARSE_ERRORS, InvalidEventError, OSError, AssertionError) as problem:
            LOG.warning(
                "an association is ended: it cannot be understood (%s)",
                type(problem).__name__,
                extra={"action": "association_ended"},
            )
            if self.socket is not None:
                self.socket.close()

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
        except _Other as other:
            self._hand_on(other.pdu)
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
        """Take a message if it is a C-STORE; hand everything else on.

        Raises
        ------
        _Other
            If something else comes in the middle of its data set.
        """
        pdus: list[bytearray] = []
        command = bytearray()
        while sum(map(len, pdus)) <= LONGEST_COMMAND:
            pdu = self._pdu()
            if pdu is None:
                self.event_queue.put(CLOSED)
                return False
            pdus.append(pdu)
            if pdu[0] != P_DATA_TF:
                break
            parts = fragments(pdu)
            for part in parts:
                command += part.content
                if not part.is_command or part.is_last:
                    return self._took_command(part, command, parts) or self._hand_on(*pdus)
        return self._hand_on(*pdus)

    def _took_command(self, last: Fragment, command: bytearray, parts: Iterator[Fragment]) -> bool:
        """Take a C-STORE whose command is whole; False if it is another message.

        Raises
        ------
        _Other
            If something else comes in the middle of it.
        """
        request = store_request(memoryview(command)) if last.is_command else None
        if request is None or not self._is_accepted(last.context_id, request):
            return False
        self._store(last.context_id, request, parts)
        return True

    def _store(self, context_id: int, request: StoreRequest, parts: Iterator[Fragment]) -> None:
        """Take a data set and answer.

        Raises
        ------
        _Other
            If something else comes in the middle of it.
        """
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
        finally:
            storing.give_up()
        self._connection.send(store_response(context_id, request, answer.status, answer.comment))

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

    def _hand_on(self, *pdus: bytearray) -> bool:
        """Give PDUs to the library, as it reads its own.

        Raises
        ------
        OSError
            If it has been given too much that it has not answered.
        """
        for pdu in pdus:
            self._connection.n_unanswered += len(pdu)
            if self._connection.n_unanswered > LARGEST_OTHER:
                raise OSError("a message is larger than any that is expected")
            try:
                decoded, event = self._decode_pdu(pdu)
            except PARSE_ERRORS:
                self.event_queue.put(INVALID)
                break
            self.event_queue.put(event)
            self._recv_pdu.put(decoded)
        return False
