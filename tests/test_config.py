"""The configuration file is read as written, or refused by the key that is wrong."""

import re
from pathlib import Path

import pytest

from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.config import Configuration, OutputSettings, read_configuration
from pipeline.connections import Destination, Node, ReceiveSettings, TlsSettings
from pipeline.errors import UnusableCall
from pipeline.ingest.limits import Limits
from pipeline.routing.rules import read_rules
from pipeline.servicesettings import ServiceSettings, WorkerSettings
from pipeline.steps import WorklistSettings

DEFAULT = Path(__file__).parents[1] / "configs" / "default.toml"


def read(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return read_configuration(path)


def test_the_documented_file_holds_the_defaults() -> None:
    assert read_configuration(DEFAULT) == read_configuration(None) == Configuration()


def test_the_documented_file_names_every_setting() -> None:
    text = DEFAULT.read_text()
    keys = {
        *PerfusionSettings.__slots__,
        *OutputSettings.__slots__,
        *ServiceSettings.__slots__,
        *WorkerSettings.__slots__,
        *ReceiveSettings.__slots__,
        *Limits.__slots__,
        *TlsSettings.__slots__,
        *Node.__slots__,
        *Destination.__slots__,
        *WorklistSettings.__slots__,
        "path",
        "url",
        "rules",
    }
    for key in keys:
        assert f"\n{key} = " in text or f"\n# {key} = " in text, key


@pytest.mark.parametrize("name", ["embedded", "redis", "rabbitmq"])
def test_the_profiles_are_read_with_their_rules(name: str) -> None:
    found = read_configuration(DEFAULT.with_name(f"{name}.toml"))
    assert found.routing.rules is not None
    assert len(read_rules(found.routing.rules).rules) == 5


def test_settings_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [perfusion]
        uncertainty_stride = 4
        flag_u_pp = 1
        [output]
        segmentation_types = ["LABELMAP", "BINARY"]
        [models]
        path = "bundles"
        [ledger]
        url = "postgresql://host/ledger"
        """,
    )
    assert found.perfusion == PerfusionSettings(uncertainty_stride=4, flag_u_pp=1.0)
    assert isinstance(found.perfusion.flag_u_pp, float)
    assert found.output.segmentation_types == ("LABELMAP", "BINARY")
    assert found.models.path == tmp_path / "bundles"
    assert found.ledger.url == "postgresql://host/ledger"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[perfusion]\nuncertanty_stride = 4", r"unknown key perfusion\.uncertanty_stride"),
        ("[perfusio]\nuncertainty_stride = 4", "unknown key perfusio; known are perfusion, "),
        ("perfusion = 4", "perfusion is no table"),
        ('[perfusion]\nmotion = "elastic"', "'elastic', possible are none, rigid, deformable"),
        ("[perfusion]\nuncertainty_stride = 3", "uncertainty_stride is 3, possible are 2, 4, 8"),
        ("[perfusion]\nuncertainty_stride = 4.0", r"uncertainty_stride is 4\.0, needed is a whole"),
        ("[perfusion]\nuncertainty_stride = true", "uncertainty_stride is True, needed is a whole"),
        ("[perfusion]\nflag_u_pp = true", "flag_u_pp is True, needed is a number"),
        ("[perfusion]\nflag_u_pp = nan", "flag_u_pp is nan, needed is a number"),
        ("[perfusion]\nflag_u_pp = inf", "flag_u_pp is inf, needed is a number"),
        ("[perfusion]\nminimum_myocardium_area_mm2 = 9000", "is not below"),
        ("[perfusion]\nsegmentation = 'best'", "possible are chosen, blend, per-pixel"),
        ("[perfusion]\nstop_below_u_pp = -0.1", "stop_below_u_pp is -0.1, below 0"),
        ("[perfusion]\ntrust_digest = '00'", "trust_digest needs trust"),
        ("[output]\nsegmentation_types = 'BINARY'", "needed is a list of texts"),
        ("[output]\nsegmentation_types = ['FRACTIONAL']", "one or more of BINARY, LABELMAP"),
        ("[output]\nsegmentation_types = ['BINARY', 'BINARY']", "one or more of"),
        ("[output]\nsegmentation_types = []", "one or more of"),
        ("[models]\npath = 7", r"models\.path is 7, needed is a path"),
        ("[ledger]\nurl = 7", r"ledger\.url is 7, needed is a text"),
        ("[perfusion", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableCall, match=rf"site\.toml: .*{reason}"):
        read(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnusableCall, match="not TOML"):
        read_configuration(tmp_path / "site.toml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableCall, match=r"cannot be read \(No such file"):
        read_configuration(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[nodes.a]\nae_title = "A"', "a node with an ae_title needs a host"),
        ("[nodes.a]\nport = 1", "needs an ae_title and a host, or a url"),
        ('[nodes."../a"]\nurl = "http://a"', "a name has letters"),
        ('[nodes.a]\nurl = "ftp://a"', "no http"),
        ('[nodes.a]\nae_title = "A\\\\B"\nhost = "h"', "no AE title"),
        ("[destinations.a]", "lacks a key"),
        ('[destinations.a]\nby = "fax"', "possible is c-store"),
        ('[destinations.a]\nby = "c-store"', "needs node"),
        ('[destinations.a]\nby = "c-store"\nnode = "b"', "the nodes are none"),
        ('[destinations.a]\nby = "folder"\nfolder = "f"\nconfirm = "commitment"', "no commitment"),
        ('[receive]\nhost = "0.0.0.0"', "callers must be named"),
        ('[receive]\ncallers = ["A@nowhere"]', "whose address is none"),
        ('[receive]\nhost = "0.0.0.0"\ncallers = ["*"]\nhttp_port = 80', "needs a token"),
        ("[limits]\nmax_frames = 0", "max_frames is 0"),
        ("[limits]\nmax_bytes = 1", "unknown key limits.max_bytes"),
        ("[receive]\npdu_bytes = 0", "pdu_bytes is 0"),
        ('[worklists.a]\nnode = "b"', "lacks a key"),
        ('[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]\nretrieve = "b"', "the nodes are none"),
        ('[worklists.a]\nnode = "b"\ncodes = ["1^D"]', "write VALUE^SCHEME=analysis"),
        ('[worklists.a]\nnode = "b"\ncodes = ["1=tally"]', "is no code"),
        ('[worklists.a]\nnode = "b"\ncodes = []', "codes is empty"),
        ('[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]', "needs delivered or retrieve"),
        ('[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]\nby = "fax"', "possible is dimse"),
        (
            '[nodes.b]\nurl = "http://b"\n'
            '[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]\nretrieve = "b"',
            "needs a node with an ae_title",
        ),
        (
            '[nodes.b]\nae_title = "B"\nhost = "b"\n'
            '[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]\ndelivered = ["c"]',
            "the destinations are none",
        ),
        (
            '[nodes.b]\nae_title = "B"\nhost = "b"\n'
            '[destinations.c]\nby = "folder"\nfolder = "c"\nverified_only = true\n'
            '[worklists.a]\nnode = "b"\ncodes = ["1^D=tally"]\ndelivered = ["c"]',
            "gets verified results only",
        ),
    ],
)
def test_a_connection_that_is_not_possible_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnusableCall, match=re.escape(said)):
        read(tmp_path, text)


def test_connections_are_read_by_name(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [nodes.pacs]
        ae_title = "ARCHIVE"
        host = "10.0.0.5"
        token = "secret"
        [destinations.pacs]
        by = "c-store"
        node = "pacs"
        """,
    )
    assert found.nodes["pacs"].token == tmp_path / "secret"
    assert found.destinations["pacs"] == Destination(by="c-store", node="pacs")


def test_a_document_that_nests_without_end_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("a = " + "[" * 20_000)
    with pytest.raises(UnusableCall, match="nests too deep"):
        read_configuration(path)
