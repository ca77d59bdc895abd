"""One switch puts everything on TLS, and what cannot be is refused by name."""

from pathlib import Path

import pytest

from pipeline.config import parse_configuration
from pipeline.errors import UnusableCall

TLS = {"certificate": "own.pem", "key": "own.key", "everywhere": True}
NODE = {"ae_title": "ARCHIVE", "host": "10.0.0.5"}
FOLDER = Path("/site")


def test_the_switch_puts_receiver_nodes_and_page_on_tls() -> None:
    review = {"host": "0.0.0.0"}  # noqa: S104 - that it may be, over TLS, is what is tested
    receive = {"host": "0.0.0.0", "callers": ["MODALITY"], "tls": False}  # noqa: S104
    document = {"tls": TLS, "review": review, "receive": receive, "nodes": {"pacs": NODE}}
    settings = parse_configuration(document, FOLDER)
    assert settings.receive.tls
    assert settings.nodes["pacs"].tls
    assert settings.review.tls_certificate == FOLDER / "own.pem"
    assert settings.review.tls_key == FOLDER / "own.key"
    assert settings.review.is_secure


def test_the_page_keeps_a_certificate_of_its_own() -> None:
    document = {"tls": TLS, "review": {"tls_certificate": "page.pem", "tls_key": "page.key"}}
    assert parse_configuration(document, FOLDER).review.tls_certificate == FOLDER / "page.pem"


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ({"service": {"broker": "redis://:secret@broker:6379/0"}}, "service.broker"),
        ({"service": {"broker": "amqp://vesalius:secret@broker//"}}, "service.broker"),
        ({"ledger": {"url": "postgresql://vesalius:secret@database/vesalius"}}, "ledger.url"),
        (
            {"ledger": {"url": "postgresql://u:secret@database/v?sslmode=require"}},
            "ledger.url",
        ),
        ({"monitoring": {"host": "0.0.0.0"}}, "monitoring.host"),  # noqa: S104
        ({"monitoring": {"traces": "http://collector:4318/v1/traces"}}, "monitoring.traces"),
        ({"monitoring": {"page_url": "http://pager/vesalius"}}, "monitoring.page_url"),
        ({"nodes": {"pacs": {"url": "http://archive/dicom-web"}}}, "nodes.pacs.url"),
        (
            {
                "destinations": {
                    "research": {
                        "by": "s3",
                        "bucket": "s3://bucket",
                        "endpoint": "http://storage:9000",
                    }
                }
            },
            "destinations.research.endpoint",
        ),
    ],
)
def test_what_would_leave_in_the_clear_is_refused_without_its_password(
    section: dict[str, object], setting: str
) -> None:
    parse_configuration(section, FOLDER)
    with pytest.raises(UnusableCall, match=setting) as refused:
        parse_configuration({"tls": TLS, **section}, FOLDER)
    assert "secret" not in str(refused.value)


def test_this_machine_may_be_spoken_to_in_the_clear_and_others_over_tls() -> None:
    parse_configuration({"tls": TLS}, FOLDER)
    others = {
        "service": {"broker": "rediss://broker/0"},
        "ledger": {"url": "postgresql://database/vesalius?sslmode=verify-full"},
        "nodes": {"pacs": {"url": "https://archive/dicom-web"}},
    }
    assert parse_configuration({"tls": TLS, **others}, FOLDER).tls.everywhere


def test_the_switch_needs_a_certificate() -> None:
    with pytest.raises(UnusableCall, match=r"needs tls\.certificate and tls\.key"):
        parse_configuration({"tls": {"everywhere": True}}, FOLDER)
