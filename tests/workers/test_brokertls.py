"""The broker over TLS: who answers is checked, and nothing goes there in the clear."""

from dataclasses import replace
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError

from pipeline.config import Configuration
from pipeline.connections import TlsSettings
from pipeline.ledger.ledger import Ledger
from pipeline.servicesettings import ServiceSettings
from tests.support.certificates import Authority
from tests.support.tlsrelay import tls_relay
from tests.support.valkey import Valkey
from workers.app import TASK, broker_tls, make_app, queue_name
from workers.endpoint import Endpoint


def test_a_call_reaches_the_queue_over_tls_and_a_stranger_gets_none(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "own"), Authority(tmp_path / "other", "stranger")
    shown = authority.vouch("127.0.0.1")
    with Valkey(tmp_path) as valkey, tls_relay(shown, valkey.port) as port:
        settings = Configuration(
            service=ServiceSettings(broker=f"rediss://127.0.0.1:{port}/0"),
            tls=TlsSettings(authorities=authority.path),
        )
        with make_app(settings) as app:
            app.send_task(TASK, ["job"], queue=queue_name("routine"))
        assert valkey.waiting(queue_name("routine")) == 1
        untrusting = replace(settings, tls=TlsSettings(authorities=stranger.path))
        # Not by a task: the client's pool would take the connection that is open already.
        with (
            make_app(untrusting) as app,
            app.connection_for_write() as connection,
            pytest.raises(OperationalError, match="certificate"),
        ):
            connection.ensure_connection(max_retries=1)


def test_the_endpoint_asks_the_broker_over_tls(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "own"), Authority(tmp_path / "other", "stranger")
    shown = authority.vouch("127.0.0.1")
    with (
        Valkey(tmp_path) as valkey,
        tls_relay(shown, valkey.port) as port,
        Ledger.open(str(tmp_path / "ledger.db")) as ledger,
    ):
        broker, answers = f"rediss://127.0.0.1:{port}/0", {}
        for trusted in (authority, stranger):
            tls = TlsSettings(authorities=trusted.path)
            with Endpoint(("127.0.0.1", 0), ledger, broker, tls) as endpoint:
                answers[trusted] = endpoint.pages["/readyz"]()[0]
    assert answers == {authority: 200, stranger: 503}


@pytest.mark.parametrize(
    ("broker", "names"),
    [
        ("redis://127.0.0.1/0", None),
        ("amqp://127.0.0.1//", None),
        ("rediss://broker/0", {"ssl_cert_reqs", "ssl_ca_certs"}),
        ("amqps://broker//", {"cert_reqs", "ca_certs"}),
    ],
)
def test_each_client_gets_its_own_names_of_the_settings(
    broker: str, names: set[str] | None
) -> None:
    given = broker_tls(broker, TlsSettings(authorities=Path("hospital.pem")))
    assert (given is None) if names is None else (given is not None and set(given) == names)
