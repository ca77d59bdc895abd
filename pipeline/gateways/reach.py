"""Whether a node is there, by each way that it is reached."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.association import echo
from pipeline.gateways.dicomweb import search
from pipeline.gateways.found import Query

AT_A_TIME = 16
"""Nodes that are asked at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """How a node answered by one way."""

    node: str
    """Its name in the settings."""

    by: str
    """``C-ECHO`` or ``QIDO-RS``."""

    ms: float | None = None
    """Time from the connection to the answer [ms]; None if there was none."""

    problem: str | None = None
    """Why not; None if it is there."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        ms = None if self.ms is None else round(self.ms, 1)
        return {"node": self.node, "by": self.by, "ms": ms, "problem": self.problem}


def reach(nodes: Mapping[str, Node], settings: Configuration) -> list[Reached]:
    """Ask nodes whether they are there, all at the same time.

    Parameters
    ----------
    nodes
        The nodes by name.
    settings
        The site's.
    """
    asked = [
        (name, node, by)
        for name, node in nodes.items()
        for by, is_reached in (("C-ECHO", node.ae_title), ("QIDO-RS", node.url))
        if is_reached
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        answers = [pool.submit(_reached, *one, settings) for one in asked]
    return [answer.result() for answer in answers]


def _reached(name: str, node: Node, by: str, settings: Configuration) -> Reached:
    """Ask a node by one way."""
    try:
        if by == "C-ECHO":
            return Reached(node=name, by=by, ms=1000 * echo(node, settings))
        began = time.monotonic()
        search(node, Query(limit=1), settings)
        return Reached(node=name, by=by, ms=1000 * (time.monotonic() - began))
    except (PeerRefused, PeerUnavailable, UnusableCall) as problem:
        return Reached(node=name, by=by, problem=str(problem))
