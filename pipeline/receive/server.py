"""The receiver: an application entity that takes associations, within limits.

Connections wait for nothing in the thread that accepts them: a caller that never finishes its
handshake, or never asks for an association, costs a thread for ``receive.first_s`` and no more.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from itertools import count
from socketserver import BaseServer
from time import monotonic
from typing import Any

from pynetdicom import AE, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.events import Event, EventType
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from pipeline.connections import ReceiveSettings
from pipeline.gateways.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from pipeline.gateways.silence import silence
from pipeline.receive.callers import Callers
from pipeline.receive.inbox import Inbox, Offer
from pipeline.receive.keeper import Storing
from pipeline.receive.provider import BoundedSocket, StoringProvider

Handler = tuple[EventType, Callable[[Event], Any]]
"""What is done when something happens in an association."""

LOG = logging.getLogger(__name__)

silence()

NUMBERS = count(1)
"""Numbers of the associations of this process."""

CALLING_TITLE_NOT_RECOGNISED = (1, 1, 3)
"""Result, source and reason of a rejection: PS3.8, 9.3.4."""


class ReceivingHandler(RequestHandler):
    """A connection that becomes an association, with our socket and our upper layer."""

    server: "ReceivingServer"

    def _create_association(self) -> Association:
        """Return the association, as the library makes it but for socket and upper layer."""
        settings = self.server.settings
        association = Association(self.ae, MODE_ACCEPTOR)
        association._server = self.server  # noqa: SLF001 - as the library does
        association.name = f"AcceptorThread@{next(NUMBERS)}"
        association.dul = StoringProvider(association, self.server.inbox)
        association.set_socket(
            BoundedSocket(association, self.request, settings.first_s, settings.silent_s)
        )
        association.acse_timeout = settings.first_s
        association.network_timeout = settings.silent_s
        acceptor = association.acceptor
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = self.server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        # Shared: negotiation reads them, and a copy takes longer than all else of an association.
        acceptor.supported_contexts = self.server.contexts
        association.requestor.address_info = self.remote
        for event, handler in self.server.handlers:
            association.bind(event, handler)
        return association


class ReceivingServer(ThreadedAssociationServer):
    """A server of associations.

    Parameters
    ----------
    listening
        A socket that listens; processes may share one.
    ae
        The application entity.
    inbox
        Keeps what is stored.
    settings
        The limits.
    tls
        How connections are secured; None has them plain.
    handlers
        What is done with messages other than C-STORE.
    """

    daemon_threads = True

    def __init__(
        self,
        listening: socket.socket,
        ae: AE,
        *,
        inbox: Inbox,
        settings: ReceiveSettings,
        tls: ssl.SSLContext | None,
        handlers: Sequence[Handler],
    ) -> None:
        self.inbox, self.settings, self.handlers = inbox, settings, tuple(handlers)
        self._listening, self._tls = listening, tls
        super().__init__(
            ae,
            listening.getsockname(),
            ae.ae_title,
            ae.supported_contexts,
            request_handler=ReceivingHandler,
        )

    def server_bind(self) -> None:
        """Take the socket that listens already."""
        if self.socket is not None:
            self.socket.close()
        # A connection that another process accepts first must not be waited for.
        self._listening.setblocking(False)
        self.socket = self._listening
        self.server_address = self._listening.getsockname()

    def server_activate(self) -> None:
        """Do nothing: the socket listens."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; it is secured in a thread of its own."""
        connection, address = self._listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.settings.first_s)
        return connection, address

    def verify_request(self, _request: Any, client_address: Any) -> bool:  # noqa: ANN401 - as in the library
        """Turn away an address that has as many connections as it may."""
        address = client_address[0]
        active = sum(a.requestor.address == address for a in self.active_associations)
        if active >= self.settings.associations_each:
            LOG.warning("too many associations from one address", extra={"action": "turned_away"})
            return False
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the library
        """Secure a connection, and begin its association."""
        try:
            if self._tls is not None:
                request = self._tls.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as problem:
            LOG.warning(
                "a connection could not be secured (%s)",
                getattr(problem, "reason", None) or type(problem).__name__,
                extra={"action": "turned_away"},
            )
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def stop_accepting(self) -> None:
        """Have the loop that accepts connections end; call it from another thread."""
        BaseServer.shutdown(self)

    def end_associations(self, patience_s: float) -> None:
        """Wait until all associations have ended, and abort those that take too long."""
        until = monotonic() + patience_s
        for association in self.active_associations:
            association.join(max(until - monotonic(), 0.0))
            if association.is_alive():
                association.abort()

    def handle_error(self, _request: Any, _client_address: Any) -> None:  # noqa: ANN401 - as in the library
        """Log that a connection failed; the library would print its trace."""
        LOG.warning("a connection failed", extra={"action": "turned_away"})


def application_entity(settings: ReceiveSettings, contexts: Sequence[PresentationContext]) -> AE:
    """Return the application entity that receives.

    Parameters
    ----------
    settings
        Its title and limits.
    contexts
        What it takes.
    """
    ae = AE(ae_title=settings.ae_title)
    for context in contexts:
        # Not by ``supported_contexts``: setting those forgets the roles.
        ae.add_supported_context(
            str(context.abstract_syntax),
            context.transfer_syntax,
            scu_role=context.scu_role,
            scp_role=context.scp_role,
        )
    ae.require_called_aet = True
    ae.maximum_pdu_size = settings.pdu_bytes
    ae.maximum_associations = settings.associations
    ae.network_timeout = settings.silent_s
    ae.acse_timeout = settings.first_s
    ae.dimse_timeout = settings.silent_s
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae


def receiving_handlers(
    inbox: Inbox, callers: Callers, refused: Callable[[str], None] = lambda _: None
) -> list[Handler]:
    """Return what is done with requests for an association, and with C-STOREs that are unusual.

    Parameters
    ----------
    inbox
        Keeps the instances.
    callers
        Who may call.
    refused
        Told the address of one who may not.
    """

    def requested(event: Event) -> None:
        """Reject a caller that is not allowed."""
        request = event.assoc.requestor.primitive
        title = "" if request is None else str(request.calling_ae_title)
        if not callers.allow(title, event.assoc.requestor.address):
            LOG.warning("a caller is not allowed", extra={"action": "turned_away"})
            event.assoc.acse.send_reject(*CALLING_TITLE_NOT_RECOGNISED)
            event.assoc.kill()
            refused(event.assoc.requestor.address)

    def store(event: Event) -> int:
        """Keep an instance whose command came in pieces: the upper layer takes all others."""
        title = event.assoc.requestor.ae_title.strip()
        storing = Storing(
            inbox,
            Offer(
                sop_class_uid=str(event.request.AffectedSOPClassUID),
                sop_instance_uid=str(getattr(event.request, "AffectedSOPInstanceUID", "")),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                sender=f"c-store {title}",
            ),
        )
        storing.write(event.encoded_dataset(include_meta=False))
        return storing.answer().status

    return [(evt.EVT_REQUESTED, requested), (evt.EVT_C_STORE, store)]
