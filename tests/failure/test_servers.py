"""The servers of these tests keep what they hold when they are killed and started again."""

import os
import signal
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest
from amqp.exceptions import InternalError
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError
from sqlalchemy import create_engine, text

from tests.support.brokers import on_each_broker
from tests.support.service import wait_until

pytestmark = pytest.mark.service

WRITTEN_S = 3.0
"""Time to be on disk: Valkey writes each second; RabbitMQ confirms messages that are written, and
writes a moment later which queue they are of [s]."""


@on_each_broker
def test_a_broker_that_is_killed_comes_back_on_its_port_with_its_messages(broker: Any) -> None:
    url = broker.url
    arguments = {"x-queue-type": "quorum"} if url.startswith("amqp") else {}
    exchange = Exchange("kept", type="direct", durable=True)
    queue = Queue("kept", exchange, routing_key="kept", queue_arguments=arguments)
    options = {"confirm_publish": True} if url.startswith("amqp") else {}
    with Connection(url, transport_options=options) as connection:
        producer = connection.Producer(serializer="json")
        for number in range(3):
            producer.publish(number, exchange=exchange, routing_key="kept", declare=[queue])
    time.sleep(WRITTEN_S)
    broker.kill()
    with pytest.raises(OperationalError), Connection(url) as gone:
        gone.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=2)
    broker.start()
    assert broker.url == url
    found: list[int] = []
    wait_until(lambda: take(url, queue, found) == 3, 60)
    assert found == [0, 1, 2]


def take(url: str, queue: Queue, found: list[int]) -> int:
    """Take what a queue holds, and return how many there are by now.

    RabbitMQ takes connections before a quorum queue has a leader again; what is asked until then is
    answered with an error, after a minute.
    """
    options = {"read_timeout": 5} if url.startswith("amqp") else {}
    connection = Connection(url, transport_options=options)
    with suppress(InternalError, TimeoutError), connection:
        bound = queue(connection.channel())
        while message := bound.get(accept=["json"]):
            found.append(message.payload)
            message.ack()
    return len(found)


def test_a_database_that_is_killed_comes_back_with_what_was_committed(
    postgres: Any, postgres_place: str
) -> None:
    engine = create_engine(postgres_place)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (n int)"))
        connection.execute(text("INSERT INTO kept VALUES (7)"))
    engine.dispose()
    server = psutil.Process(int(postgres.get_pid()))
    children = server.children()
    os.kill(server.pid, signal.SIGKILL)
    # A server starts again only when the last process of the one before is gone.
    wait_until(lambda: not any(p.is_running() for p in (server, *children)), 30)
    postgres.ensure_postgres_running()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT n FROM kept")).scalar_one() == 7
    engine.dispose()
