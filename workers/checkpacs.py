"""What is wrong with what a site receives and delivers, found before it runs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Configuration
from pipeline.connections import Destination
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.folder import check_folder
from pipeline.gateways.objects import Bucket
from pipeline.gateways.reach import reach
from pipeline.gateways.tls import server_context
from pipeline.routing.rules import read_rules
from workers.findings import Finding, Level, right, wrong


def check_pacs(configuration: Configuration, inbox: Path) -> Iterator[Finding]:
    """Look at nodes, destinations, the inbox, and at the certificate where one is needed.

    Parameters
    ----------
    configuration
        What the site sets.
    inbox
        Folder for what is received.
    """
    yield from _nodes(configuration)
    for name, destination in configuration.destinations.items():
        yield from _destination(name, destination)
    yield from _named_by_rules(configuration)
    yield from _inbox(inbox, configuration.receive.free_mib)
    if configuration.receive.tls:
        yield from _certificate(configuration)


def _nodes(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the systems that the site is connected to answer."""
    for one in reach(configuration.nodes, configuration):
        what = f"node {one.node}"
        if one.problem is None:
            yield right(what, f"{one.by} answered in {one.ms:.0f} ms")
        else:
            remedy = f"look after nodes.{one.node}; vesalius nodes asks again"
            yield wrong(what, f"{one.by}: {one.problem}", remedy)


def _destination(name: str, destination: Destination) -> Iterator[Finding]:
    """Look whether results can go to a destination that is no node, and whether its files are."""
    what = f"destination {name}"
    remedy = f"look after destinations.{name}"
    for path in (destination.credentials, destination.deidentify_key):
        if path is not None and not path.is_file():
            yield wrong(what, f"{path}: no such file", remedy)
            return
    try:
        if destination.folder is not None:
            check_folder(destination.folder)
        if destination.bucket is not None:
            Bucket(destination).reach()
    except (PeerUnavailable, PeerRefused, UnusableCall) as problem:
        yield wrong(what, str(problem), remedy)
    else:
        yield right(what, f"by {destination.by}, confirmed by {destination.confirm}")


def _named_by_rules(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the rules send results to what is no destination."""
    if configuration.routing.rules is None:
        return
    try:
        rules = read_rules(configuration.routing.rules)
    except UnusableCall as problem:
        yield wrong("rules", str(problem), "mend the file")
        return
    every = (*rules.rules, *([rules.otherwise] if rules.otherwise else []))
    named = {name for rule in every for name in rule.destinations}
    unknown = sorted(named - set(configuration.destinations))
    if unknown:
        told = f"{', '.join(unknown)}: no such destination; its deliveries are held"
        yield Finding(
            what="rules", level=Level.WARN, told=told, remedy="set destinations.NAME, or mend them"
        )
    else:
        yield right("rules", f"{len(rules.rules)} rules")


def _inbox(folder: Path, free_mib: int) -> Iterator[Finding]:
    """Look whether instances can be received."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            found_mib = shutil.disk_usage(folder).free >> 20
    except OSError as problem:
        yield wrong("inbox", f"{folder}: {problem.strerror}", "make it writable")
        return
    told = f"{folder}: {found_mib} MiB free, {free_mib} are to stay so"
    if found_mib < free_mib:
        yield wrong("inbox", told, "make room, or lower receive.free_mib")
    else:
        yield right("inbox", told)


def _certificate(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the receiver can show a certificate."""
    try:
        server_context(configuration.tls)
    except UnusableCall as problem:
        yield wrong("certificate", str(problem), "mend [tls]")
    else:
        yield right("certificate", f"{configuration.tls.certificate}")
