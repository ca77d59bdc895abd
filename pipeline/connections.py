"""What a site says of the systems that it is connected to: archives, modalities, destinations.

Records of the settings, nothing else. Secrets are named by their files and never stand in them.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnusableCall

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""How a node or a destination is named."""

AE_TITLE = re.compile(r"(?! *$)[\x20-\x5b\x5d-\x7e]{1,16}")
"""An application entity's title: VR AE of PS3.5, 6.2."""

LAST_PORT = 65535
"""Highest port of TCP."""

CONFIRMATIONS = ("none", "query", "commitment")
"""What proves a delivery: the answer alone, a query that finds it, or the archive's commitment."""

AFTER_REVIEW = ("also", "never")
"""Whether a destination that gets results at once gets the verified ones, too."""

WAYS = ("c-store", "stow-rs", "folder", "s3")
"""How results go to a destination."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsSettings:
    """How this installation shows who it is, and whom it believes, over TLS."""

    certificate: Path | None = None
    """Its certificate, with those in between, PEM."""

    key: Path | None = None
    """The certificate's private key, PEM."""

    authorities: Path | None = None
    """Certificates of the authorities that vouch for others, PEM; None takes the system's, and has
    clients of the receiver show none."""

    everywhere: bool = False
    """Whether everything that can speak TLS does, and nothing leaves this machine in the clear."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Another system: an archive, a modality, a worklist."""

    ae_title: str | None = None
    """Title of its application entity; None for one that is reached by DICOMweb only."""

    host: str | None = None
    """Its address."""

    port: int = 104
    """Its port for DIMSE."""

    tls: bool = False
    """Whether DIMSE goes over TLS (PS3.15, B.12)."""

    calling: str | None = None
    """The title that this installation calls it with; None takes the receiver's."""

    url: str | None = None
    """Root of its DICOMweb services, such as ``https://archive/dicom-web``."""

    basic: Path | None = None
    """File that holds ``user:password`` for DICOMweb."""

    token: Path | None = None
    """File that holds a bearer token for DICOMweb."""

    timeout_s: float = 30.0
    """Longest time that it may be silent [s]."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if (self.ae_title is None) != (self.host is None):
            raise UnusableCall("a node with an ae_title needs a host, and the other way round")
        if self.ae_title is None and self.url is None:
            raise UnusableCall("a node needs an ae_title and a host, or a url")
        for title in (self.ae_title, self.calling):
            check_ae_title(title)
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise UnusableCall("url is no http:// or https://")
        if not 0 < self.port <= LAST_PORT:
            raise UnusableCall(f"port is {self.port}, possible is 1 to {LAST_PORT}")
        if self.timeout_s <= 0:
            raise UnusableCall(f"timeout_s is {self.timeout_s}, needed is more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where results go."""

    by: str
    """How: one of ``WAYS``."""

    node: str | None = None
    """Name of the node, for ``c-store`` and ``stow-rs``, or that is asked for a confirmation."""

    folder: Path | None = None
    """The folder, for ``folder``."""

    bucket: str | None = None
    """The bucket and prefix, for ``s3``: ``s3://bucket/prefix``."""

    endpoint: str | None = None
    """URL of storage that is compatible with S3; None takes Amazon's."""

    region: str | None = None
    """Region of the bucket."""

    credentials: Path | None = None
    """File that holds ``access key id:secret``; None takes the environment's."""

    always: bool = False
    """Whether every result goes there; else those that the rules send there."""

    analyses: tuple[str, ...] = ()
    """Analyses whose results go there; none takes all."""

    verified_only: bool = False
    """Whether a result goes there only when it is accepted, verified and with all its objects."""

    after_review: str = "also"
    """Whether a result that has gone there at once is followed by what was accepted of it: one of
    ``AFTER_REVIEW``."""

    kinds: tuple[str, ...] = ()
    """Kinds of artifact that go there; none takes all that can: DICOM objects, or every file."""

    confirm: str = "query"
    """What proves a delivery: one of ``CONFIRMATIONS``."""

    confirm_s: float = 600.0
    """Time that a confirmation is waited for before the objects are sent again [s]."""

    deidentify: bool = False
    """Whether objects are de-identified before they leave (PS3.15, E)."""

    deidentify_key: Path | None = None
    """File that holds the secret that UIDs are mapped by where objects are de-identified."""

    connections: int = 1
    """Deliveries that go there at a time."""

    retry_s: float = 10.0
    """Time before the second attempt; it doubles each time [s]."""

    longest_retry_s: float = 300.0
    """Longest time between two attempts [s]."""

    breaks_after: int = 3
    """Failures in a row after which nothing is sent until one attempt has come through."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible, or one is missing that the way needs.
        """
        for name, value, possible in (
            ("by", self.by, WAYS),
            ("confirm", self.confirm, CONFIRMATIONS),
            ("after_review", self.after_review, AFTER_REVIEW),
        ):
            if value not in possible:
                raise UnusableCall(f"{name} is {value!r}, possible is {', '.join(possible)}")
        needs = {"c-store": "node", "stow-rs": "node", "folder": "folder", "s3": "bucket"}[self.by]
        if getattr(self, needs) is None:
            raise UnusableCall(f"by {self.by} needs {needs}")
        if self.deidentify and self.deidentify_key is None:
            raise UnusableCall("deidentify needs deidentify_key")
        self._check_together()
        for name in ("confirm_s", "retry_s", "longest_retry_s", "connections", "breaks_after"):
            if getattr(self, name) <= 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is more than 0")

    def _check_together(self) -> None:
        """Check values that forbid each other."""
        if self.verified_only and self.after_review == "never":
            raise UnusableCall("verified_only with after_review never: nothing would go there")
        if self.confirm == "commitment" and self.by not in ("c-store", "stow-rs"):
            raise UnusableCall(f"by {self.by} knows no commitment")


def check_delivered(at: str, names: Sequence[str], destinations: Mapping[str, Destination]) -> None:
    """Check that results go to destinations when their jobs are done.

    Parameters
    ----------
    at
        The setting that names them.
    names
        The names.
    destinations
        The site's.

    Raises
    ------
    UnusableCall
        If one does not exist, or gets verified results only.
    """
    for name in names:
        if name not in destinations:
            known = ", ".join(destinations) or "none"
            raise UnusableCall(f"{at} is {name!r}; the destinations are {known}")
        if destinations[name].verified_only:
            raise UnusableCall(f"{at} is {name!r}, which gets verified results only")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiveSettings:
    """What is received, from whom, and when a study is taken for whole."""

    ae_title: str = "VESALIUS"
    """Title of this installation's application entity."""

    host: str = "127.0.0.1"
    """Address that the receiver listens on."""

    port: int = 11112
    """Port for DIMSE; 0 takes a free one."""

    http_port: int | None = None
    """Port for STOW-RS; None serves none, 0 takes a free one."""

    tls: bool = False
    """Whether both are served over TLS only."""

    callers: tuple[str, ...] = ()
    """Who may call: ``TITLE``, ``TITLE@address`` or ``TITLE@network/bits``; ``*`` for every title.
    None at all is possible on this machine's own address only."""

    http_token: Path | None = None
    """File that holds the token that clients of STOW-RS must show."""

    folder: Path | None = None
    """Folder for what is received; None lies beside a ledger that is a file."""

    processes: int = 1
    """Processes that take associations."""

    associations: int = 64
    """Associations at a time, over all callers, in each process."""

    associations_each: int = 32
    """Associations at a time from one address, in each process."""

    pdu_bytes: int = 131072
    """Largest P-DATA that senders are told to send [byte]."""

    first_s: float = 5.0
    """Time in which a caller must have asked for an association [s]."""

    silent_s: float = 60.0
    """Time after which an association that is silent is ended [s]."""

    largest_mib: int = 4096
    """Largest instance [MiB]."""

    free_mib: int = 1024
    """Space that stays free on the disk: below, instances are refused as A700 [MiB]."""

    ask: str | None = None
    """Name of the node that is asked how many instances a study has; None waits for quiet."""

    ask_s: float = 1.0
    """Time without a new instance after which the node is asked; it doubles each time [s]."""

    quiet_s: float = 60.0
    """Time without a new instance after which a study is taken for whole [s]."""

    longest_s: float = 3600.0
    """Time without a new instance after which one that has gaps, or fewer instances than there are
    at the node, is taken as it is [s]."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible, or the receiver would be open to everyone.
        """
        check_ae_title(self.ae_title)
        for name in ("port", "http_port"):
            if not 0 <= (getattr(self, name) or 0) <= LAST_PORT:
                raise UnusableCall(f"{name} is {getattr(self, name)}, possible is 0 to {LAST_PORT}")
        for name in (
            *("processes", "associations", "associations_each", "first_s", "silent_s"),
            *("largest_mib", "ask_s", "quiet_s", "longest_s"),
        ):
            if getattr(self, name) <= 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is more than 0")
        if not 4096 <= self.pdu_bytes <= 1 << 20:
            raise UnusableCall(f"pdu_bytes is {self.pdu_bytes}, possible is 4096 to {1 << 20}")
        for caller in self.callers:
            parse_caller(caller)
        self._refuse_open_doors()

    def _refuse_open_doors(self) -> None:
        """Refuse to listen for everyone on an address that others reach."""
        if not self.callers and not is_loopback(self.host):
            raise UnusableCall(f"on {self.host} callers must be named: receive.callers")
        if self.http_port is not None and self.http_token is None and not is_loopback(self.host):
            raise UnusableCall(f"on {self.host} STOW-RS needs a token: receive.http_token")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_caller(text: str) -> tuple[str, Network | None]:
    """Return the title and the addresses that an entry of ``callers`` allows.

    Raises
    ------
    UnusableCall
        If it is none.
    """
    title, at, place = text.partition("@")
    if title != "*":
        check_ae_title(title)
    if not at:
        return title, None
    try:
        return title, ipaddress.ip_network(place, strict=False)
    except ValueError:
        raise UnusableCall(f"callers has {text!r}, whose address is none") from None


def check_ae_title(title: str | None) -> None:
    """Check the title of an application entity.

    Raises
    ------
    UnusableCall
        If it is not possible.
    """
    if title is not None and AE_TITLE.fullmatch(title) is None:
        raise UnusableCall(f"{title!r} is no AE title: 1 to 16 characters of ASCII, no backslash")


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
