"""Post a JSON document where a person is called."""

from collections.abc import Mapping

import requests

from pipeline.errors import PeerUnavailable

TIMEOUT_S = 10.0
"""Time for the request [s]."""


def post(url: str, document: Mapping[str, str | int]) -> None:
    """Post a document.

    Raises
    ------
    PeerUnavailable
        If it was not taken.
    """
    try:
        answer = requests.post(url, json=dict(document), timeout=TIMEOUT_S)
    except requests.exceptions.RequestException as problem:
        raise PeerUnavailable(f"the pager: {type(problem).__name__}") from None
    if not answer.ok:
        raise PeerUnavailable(f"the pager answered {answer.status_code}")
