"""The conformance statement says what is negotiated, answered and written."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, build_context, build_role

from pipeline.connections import ReceiveSettings
from pipeline.encode import codes, phasereport
from pipeline.gateways.conformance import statement
from pipeline.gateways.services import (
    RECEIVED_SYNTAXES,
    SEND_ANSWERS,
    STORE_ANSWERS,
    WRITTEN_CLASSES,
    Opened,
    Role,
    receiver_contexts,
    services,
    storage_classes,
    storage_contexts,
)
from pipeline.gateways.statedobjects import CODES, COMMON, OWN, private_codes
from pipeline.receive.server import application_entity
from tests.support.written import write_all

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
CONTEXTS_EACH = 128
"""Presentation contexts that an association has at most."""

TITLE = ReceiveSettings().ae_title
JPIP_REFERENCED = "1.2.840.10008.1.2.4.94"
COMMITMENT = "1.2.840.10008.1.20.1"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a server with the receiver's application entity."""
    entity = application_entity(ReceiveSettings(), receiver_contexts())
    entity.acse_timeout = entity.network_timeout = 30
    server = entity.start_server(("127.0.0.1", 0), block=False)
    yield server.socket.getsockname()[1]
    server.shutdown()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[pydicom.Dataset]:
    """Return an object of each kind that is written."""
    paths = write_all(tmp_path_factory.mktemp("written")).values()
    return [pydicom.dcmread(path, stop_before_pixels=False) for path in paths]


def accepted(port: int, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Ask for classes and transfer syntaxes, each pair alone, and return those accepted."""
    found = set()
    entity = AE()
    for start in range(0, len(pairs), CONTEXTS_EACH):
        contexts = [build_context(*pair) for pair in pairs[start : start + CONTEXTS_EACH]]
        association = entity.associate("127.0.0.1", port, contexts=contexts, ae_title=TITLE)
        assert association.is_established
        found |= {
            (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in association.accepted_contexts
        }
        association.release()
    return found


def test_the_page_is_what_is_generated() -> None:
    assert PAGE.read_text(encoding="utf-8") == statement()
    assert "{{" not in statement()


def test_everything_that_is_listed_is_accepted_in_every_listed_syntax(port: int) -> None:
    listed = [
        (service.sop_class_uid, syntax)
        for service in services()
        if service.opened is Opened.THERE and service.role is Role.PROVIDER
        for syntax in service.transfer_syntaxes
    ]
    assert len(listed) > 170 * 35
    assert accepted(port, listed) == set(listed)


def test_what_is_not_listed_is_not_accepted(port: int) -> None:
    unlisted = [
        (storage_classes()[0], JPIP_REFERENCED),
        ("1.2.840.10008.5.1.4.1.2.2.1", RECEIVED_SYNTAXES[0]),
        ("1.2.840.10008.3.1.2.3.3", RECEIVED_SYNTAXES[0]),
    ]
    associated = AE().associate(
        "127.0.0.1",
        port,
        contexts=[build_context(*pair) for pair in unlisted],
        ae_title=TITLE,
    )
    assert not associated.accepted_contexts
    associated.abort()


def test_of_several_syntaxes_the_first_of_the_list_is_accepted(port: int) -> None:
    context = build_context(storage_classes()[0], list(reversed(RECEIVED_SYNTAXES)))
    association = AE().associate("127.0.0.1", port, contexts=[context], ae_title=TITLE)
    assert [c.transfer_syntax for c in association.accepted_contexts] == [[RECEIVED_SYNTAXES[0]]]
    association.release()


@pytest.mark.parametrize("negotiated", [True, False])
def test_an_archive_may_open_the_association_that_it_reports_on(
    port: int, negotiated: bool
) -> None:
    roles = [build_role(COMMITMENT, scp_role=True)] if negotiated else []
    association = AE().associate(
        "127.0.0.1",
        port,
        contexts=[build_context(COMMITMENT)],
        ae_title=TITLE,
        ext_neg=roles,
    )
    (context,) = association.accepted_contexts
    assert context.as_scp is negotiated
    association.release()


def test_each_storage_class_has_one_context() -> None:
    assert len(storage_contexts()) == len(storage_classes()) == len(set(storage_classes()))


def test_objects_have_the_attributes_that_are_stated(written: list[pydicom.Dataset]) -> None:
    assert {str(instance.SOPClassUID) for instance in written} == set(WRITTEN_CLASSES) == set(OWN)
    for instance in written:
        stated = {**COMMON, **OWN[str(instance.SOPClassUID)]}
        missing = {keyword for keyword in stated if keyword not in instance}
        # Type 3, or conditional on the source.
        assert missing <= {"SpecificCharacterSet", "SourceImageSequence"}, instance.SOPClassUID.name
        assert instance.file_meta.TransferSyntaxUID == RECEIVED_SYNTAXES[0]


def test_every_private_code_of_the_code_is_stated_and_no_other() -> None:
    found = {
        (value.value, value.meaning)
        for module in (codes, phasereport)
        for name in dir(module)
        for value in _coded(getattr(module, name))
        if value.scheme_designator == codes.PRIVATE_SCHEME
    }
    assert found == {(value, meaning) for value, meaning, _ in CODES}
    assert len({value for value, _, _ in private_codes()}) == len(list(private_codes()))


def _coded(value: object) -> list:
    """Return the codes that a module's attribute holds."""
    values = list(value.values()) if isinstance(value, dict) else [value]
    return [v for v in values if hasattr(v, "scheme_designator")]


def test_statuses_are_those_that_are_answered() -> None:
    keeper = importlib.import_module("pipeline.receive.keeper")
    answered = {
        keeper.STORED.status,
        keeper.OUT_OF_RESOURCES,
        keeper.MISMATCH,
        keeper.NOT_UNDERSTOOD,
        keeper.DUPLICATE,
    }
    assert {int(answer.status, 16) for answer in STORE_ANSWERS} == answered


def test_statuses_that_come_are_treated_as_stated() -> None:
    statuses = pytest.importorskip("pipeline.deliver.statuses", reason="not there yet")
    for answer in SEND_ANSWERS[:-1]:
        for status in (int(part[:4], 16) for part in answer.status.split(", ")):
            verdict = statuses.judge_dimse(status).verdict.value
            expected = {
                "later": "sent again later",
                "never": "not sent again",
                "barred": "not sent again",
                "stored": "sent",
                "there before": "there before",
                "stored with a warning": "taken for stored",
            }[verdict]
            assert answer.meaning.startswith(expected), f"{status:04X}"
