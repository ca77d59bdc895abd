"""The Celery application: a bell that wakes workers, configured so that it can only ring.

The ledger holds every job; a message names one. Messages are acknowledged after the work, no result
is kept, nothing waits in a worker for its time, and retries are the ledger's.
"""

import ssl
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.entity import Exchange, Queue

from pipeline.config import Configuration
from pipeline.connections import TlsSettings
from pipeline.errors import UnusableCall
from pipeline.servicesettings import LANES

TASK = "vesalius.run"
"""Name of the task that does a job."""

DELIVERIES = 20
"""Deliveries after which RabbitMQ drops a message; the ledger has quarantined its job long before,
and calls again for one that waits."""

MARGIN = 1.1
"""Share of a job's longest time after which the broker takes its worker for dead."""


def make_app(configuration: Configuration) -> Celery:
    """Return the application for a site's broker.

    Raises
    ------
    UnusableCall
        If the broker is of a kind that keeps no promises.
    """
    broker = configuration.service.broker
    hard_s = int(configuration.service.longest_s * MARGIN) + 1
    redelivered_s = int(hard_s * MARGIN) + 1
    app = Celery("vesalius", broker=broker, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        # The ledger counts attempts, and its claim lets a message come back as often as it likes.
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_create_missing_queues=False,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # The job's own limit ends the model run; this one is for what nothing else can end.
        task_time_limit=hard_s,
        worker_proc_alive_timeout=60.0,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        visibility_timeout=redelivered_s,
        broker_use_ssl=broker_tls(broker, configuration.tls),
        **_transport(broker, redelivered_s),
    )
    return app


def broker_tls(broker: str, tls: TlsSettings) -> dict[str, object] | None:
    """Return how the broker is spoken to over TLS, by the names of its client; None in the clear.

    The broker shows a certificate that an authority vouches for; this installation shows its own
    where it has one.
    """
    kind = urlsplit(broker).scheme
    if kind not in ("rediss", "amqps"):
        return None
    start = "ssl_" if kind == "rediss" else ""
    files = {
        "ca_certs": tls.authorities,
        "certfile": tls.certificate,
        "keyfile": tls.key,
    }
    shown = {f"{start}{name}": str(path) for name, path in files.items() if path is not None}
    return {f"{start}cert_reqs": ssl.CERT_REQUIRED, **shown}


def is_rabbitmq(broker: str) -> bool:
    """Tell whether a broker is RabbitMQ."""
    return urlsplit(broker).scheme in ("amqp", "amqps")


def _transport(broker: str, redelivered_s: int) -> dict[str, Any]:
    """Return the settings for a kind of broker, its queues among them."""
    kind = urlsplit(broker).scheme
    if is_rabbitmq(broker):
        exchange = Exchange("vesalius", type="topic", durable=True)
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERIES}
        queues = [_queue(lane, exchange, arguments) for lane in LANES]
        return {"task_queues": queues, "broker_transport_options": {"confirm_publish": True}}
    if kind not in ("redis", "rediss"):
        raise UnusableCall(f"a broker is redis:// or amqp://, not {kind or 'without a scheme'}")
    exchange = Exchange("vesalius", type="direct", durable=True)
    options = {
        "visibility_timeout": redelivered_s,
        # Seconds between looks for messages of dead workers; the default is about a hundred.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # The order of the worker's lanes, and not one of each in turn.
        "queue_order_strategy": "priority",
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    return {
        "task_queues": [_queue(lane, exchange, {}) for lane in LANES],
        "broker_transport_options": options,
        "result_backend_transport_options": {"visibility_timeout": redelivered_s},
    }


def _queue(lane: str, exchange: Exchange, arguments: dict[str, object]) -> Queue:
    """Return the queue of a lane."""
    name = queue_name(lane)
    return Queue(name, exchange, routing_key=name, queue_arguments=arguments, durable=True)


def queue_name(lane: str) -> str:
    """Return the name of a lane's queue at the broker."""
    return f"vesalius.{lane}"
