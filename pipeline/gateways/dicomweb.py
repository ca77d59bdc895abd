"""DICOMweb of other systems: QIDO-RS, and WADO-RS whose instances are streamed as they come.

References
----------
.. [Q] DICOM PS3.18, 10.6, Search Transaction (QIDO-RS).
.. [W] DICOM PS3.18, 10.4, Retrieve Transaction (WADO-RS).
"""

import json
import logging
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.found import WANTED, Found, Level, Query, fitting, found, keys_of
from pipeline.gateways.multipart import BrokenOff, Encoded, NotMultipart, instances
from pipeline.gateways.web import MAY_PASS, introduce
from pipeline.quiet import quietly

# It logs URLs, and those hold what is looked for.
logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)

PAGE = 1000
"""Answers that are asked for at a time."""

CHUNK = 1 << 18
"""Bytes that are read at a time."""

NEVER_ESCAPED = frozenset(string.ascii_letters + string.digits + "*?._-")
"""What stands in a URL's query as it is (RFC 3986, 3.4)."""

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""What a retrieval accepts: instances in whatever transfer syntax they are stored [W]_."""


@contextmanager
def client(node: Node, settings: Configuration) -> Iterator[DICOMwebClient]:
    """Hold a client of a node's DICOMweb; what HTTP raises meanwhile is translated.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, is busy, or breaks off.
    PeerRefused
        If it refuses, or answers what is no DICOMweb.
    UnusableCall
        If it has no URL, or a file with its credentials cannot be read.
    """
    with session(node, settings) as opened, translated(node):
        made = DICOMwebClient(str(node.url), opened, timeout=node.timeout_s)
        # What is tried again, and when, is decided by who calls.
        made.set_http_retry_params(retry=False)
        yield made


@contextmanager
def session(node: Node, settings: Configuration) -> Iterator[requests.Session]:
    """Hold a session of HTTP with a node's credentials and the site's TLS.

    Raises
    ------
    UnusableCall
        If the node has no URL, or a file with its credentials cannot be read.
    """
    with _Session() as opened:
        introduce(opened, node, settings.tls)
        yield opened


@contextmanager
def translated(node: Node) -> Iterator[None]:
    """Turn what HTTP raises into the pipeline's own failures; no message holds a request.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached, is busy, or breaks off.
    PeerRefused
        If it refuses, or answers what is no DICOMweb.
    """
    where = root(node)
    try:
        yield
    except requests.HTTPError as problem:
        status = 0 if problem.response is None else problem.response.status_code
        told = f"{where}: HTTP {status}"
        raise (PeerUnavailable if status in MAY_PASS else PeerRefused)(told) from None
    except BrokenOff:
        raise PeerUnavailable(f"{where}: it broke off") from None
    except requests.exceptions.SSLError:
        raise PeerUnavailable(f"{where}: TLS failed, or its certificate is not believed") from None
    except requests.Timeout:
        raise PeerUnavailable(f"{where}: silent for {node.timeout_s:g} s") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise PeerUnavailable(f"{where}: no connection, or it broke off") from None
    except (requests.exceptions.InvalidJSONError, json.JSONDecodeError, NotMultipart):
        raise PeerRefused(f"{where}: the answer is no DICOMweb") from None
    except requests.RequestException as problem:
        raise PeerRefused(f"{where}: {type(problem).__name__}") from None


def root(node: Node) -> str:
    """Return where a node's DICOMweb is, for a message: no user, no password."""
    parts = urlsplit(str(node.url))
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def search(node: Node, wanted: Query, settings: Configuration) -> list[Found]:
    """Return what a node has of one level [Q]_.

    Raises
    ------
    PeerUnavailable
        If the node does not answer, or cannot now.
    PeerRefused
        If it refuses the query.
    """
    answers: dict[Found, None] = {}
    with client(node, settings) as opened:
        while wanted.limit is None or len(fitting(wanted, answers)) < wanted.limit:
            page = _page(opened, wanted, len(answers))
            before = len(answers)
            answers |= dict.fromkeys(page)
            # A server may give fewer than are asked for, and one that knows no offset gives the
            # same again.
            if not page or len(answers) == before:
                break
    return fitting(wanted, answers)[: wanted.limit]


def _page(opened: DICOMwebClient, wanted: Query, offset: int) -> list[Found]:
    """Return one page of answers."""
    keys = keys_of(wanted)
    above: dict[str, Any] = {}
    if wanted.level is not Level.STUDY:
        above["study_instance_uid"] = keys.pop("StudyInstanceUID", None)
    if wanted.level is Level.IMAGE:
        above["series_instance_uid"] = keys.pop("SeriesInstanceUID", None)
    asks: dict[Level, Callable[..., list[dict[str, dict[str, Any]]]]] = {
        Level.STUDY: opened.search_for_studies,
        Level.SERIES: opened.search_for_series,
        Level.IMAGE: opened.search_for_instances,
    }
    answers = asks[wanted.level](
        **above,
        fields=list(WANTED[wanted.level]),
        search_filters={keyword: _plain(value) for keyword, value in keys.items()},
        limit=min(wanted.limit or PAGE, PAGE),
        offset=offset,
    )
    with quietly():
        told = [found(Dataset.from_json(answer), wanted.level) for answer in answers]
    return [one for one in told if one is not None]


def _plain(text: str) -> str:
    """Return a key as a wider one that is the same in every encoding of a URL.

    Servers, Orthanc's plugin among them, match what is escaped by its escape. What would be escaped
    becomes a wild card, and what matches that only is left out again here.
    """
    return "".join(one if one in NEVER_ESCAPED else "?" if one.isascii() else "*" for one in text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What is retrieved: a study, one of its series, or one instance of that."""

    study: str
    series: str | None = None
    instance: str | None = None

    @property
    def path(self) -> str:
        """Its path under the root."""
        series = "" if self.series is None else f"/series/{self.series}"
        instance = "" if self.instance is None else f"/instances/{self.instance}"
        return f"/studies/{self.study}{series}{instance}"


def retrieve(
    node: Node, what: Place, keep: Callable[[Encoded], None], settings: Configuration
) -> int:
    """Retrieve instances one after the other, each as it is stored, and return how many [W]_.

    Parameters
    ----------
    node
        The archive.
    what
        What is retrieved.
    keep
        Takes an instance: its bytes come from the network while they are read.
    settings
        The site's.

    Raises
    ------
    PeerUnavailable
        If the node does not answer, cannot now, or breaks off.
    PeerRefused
        If it refuses, or what it sends is no DICOM.
    """
    number = 0
    with session(node, settings) as opened, translated(node):
        answer = opened.get(
            str(node.url).rstrip("/") + what.path,
            headers={"Accept": AS_STORED},
            stream=True,
            timeout=node.timeout_s,
        )
        with answer:
            answer.raise_for_status()
            chunks = answer.iter_content(CHUNK)
            for encoded in instances(chunks, answer.headers.get("Content-Type", "")):
                keep(encoded)
                number += 1
    return number


class _Session(requests.Session):
    """A session that follows redirections within the host only: credentials stay there."""

    def get(  # type: ignore[override]
        self,
        url: str,
        **kwargs: Any,  # noqa: ANN401 - requests' own
    ) -> requests.Response:
        """Get a resource; wild cards of a query stand as they are, the same by RFC 3986."""
        return super().get(str(url).replace("%2A", "*").replace("%3F", "?"), **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a response sends to; None if it does not.

        Raises
        ------
        requests.TooManyRedirects
            If that is another host, or another protocol.
        """
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        here, there = urlsplit(resp.url), urlsplit(target)
        if there.netloc and (there.scheme, there.netloc) != (here.scheme, here.netloc):
            resp.close()
            raise requests.TooManyRedirects
        return target
