"""What is wrong with a deployment, found before it runs: each thing with its remedy."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from kombu.exceptions import OperationalError

from pipeline.config import Configuration
from pipeline.errors import BundleRejected, LedgerUnavailable, ModelContractBroken, UnusableCall
from pipeline.infer.session import check_providers
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import ledger_time
from pipeline.ledger.roles import Role
from pipeline.ledger.versions import Versions
from pipeline.ledger.wallclock import wall_clock
from pipeline.perform import open_analyses
from pipeline.registry.store import Registry
from pipeline.sandbox.confine import holds
from workers.app import make_app
from workers.checkpacs import check_pacs
from workers.findings import Finding, Level, right, wrong
from workers.options import inbox_folder

LEAST_FREE_MIB = 1024
"""Less free space than this for results is too little [MiB]."""

CLOCK_TOLERANCE_S = 2.0
"""Clocks of this machine and of the database that are further apart are wrong [s]."""

BROKER_ANSWERS_S = 5.0
"""A broker that does not answer for so long is away [s]."""


def check(configuration: Configuration, place: str) -> list[Finding]:
    """Look at everything that a deployment needs.

    Parameters
    ----------
    configuration
        What the site sets.
    place
        Where the ledger is.
    """
    return [
        *_broker(configuration),
        *_ledger(place),
        *_clock(),
        *_output(configuration.service.output),
        *_bundles(configuration),
        *_versions(configuration, place),
        *_cores(configuration),
        *_providers(configuration),
        *_readers(),
        *check_pacs(configuration, inbox_folder(configuration, place)),
    ]


def _broker(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the broker answers; its URL may hold a password and is not told."""
    parts = urlsplit(configuration.service.broker)
    shown = f"{parts.scheme}://{parts.hostname}:{parts.port or 'default'}"
    try:
        app = make_app(configuration)
        with app.connection_for_write(connect_timeout=BROKER_ANSWERS_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_ANSWERS_S)
    except UnusableCall as problem:
        yield wrong("broker", str(problem), "set service.broker")
    except (OperationalError, OSError):
        yield wrong("broker", f"{shown} does not answer", "start it, or set service.broker")
    else:
        yield right("broker", f"{shown} answers")


def _ledger(place: str) -> Iterator[Finding]:
    """Look whether the ledger can be used, and whether its clock is this machine's."""
    try:
        with Ledger.open(place) as ledger:
            apart_s = abs(ledger_time(ledger) - time.time())
    except LedgerUnavailable as problem:
        yield wrong("ledger", str(problem), "start the database, or set ledger.url")
        return
    except UnusableCall as problem:
        yield wrong("ledger", str(problem), "vesalius ledger migrate")
        return
    yield right("ledger", "open, of this version")
    if apart_s > CLOCK_TOLERANCE_S:
        told = f"{apart_s:.1f} s apart from the database's"
        yield Finding(
            what="clock", level=Level.WARN, told=told, remedy="synchronise the clocks (NTP)"
        )
    else:
        yield right("clock", f"{apart_s:.1f} s apart from the database's")


def _clock() -> Iterator[Finding]:
    """Look whether something keeps this machine's clock: the times of the record come from it."""
    clock = wall_clock()
    error = "" if clock.error_s is None else f", estimated error {clock.error_s:.3f} s"
    told = f"{clock.state}{error}, zone {clock.zone}"
    if clock.state == "synchronised":
        yield right("clock source", told)
    else:
        remedy = "have NTP or chrony keep this machine's clock"
        yield Finding(what="clock source", level=Level.WARN, told=told, remedy=remedy)


def _output(folder: Path | None) -> Iterator[Finding]:
    """Look whether results can be written."""
    if folder is None:
        yield Finding(
            what="results",
            level=Level.WARN,
            told="no folder is set",
            remedy="set service.output, or give --output at each submission",
        )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free_mib = shutil.disk_usage(folder).free >> 20
    except OSError as problem:
        yield wrong("results", f"{folder}: {problem.strerror}", "make the folder writable")
        return
    if free_mib < LEAST_FREE_MIB:
        yield wrong("results", f"{folder}: {free_mib} MiB free", "make room")
    else:
        yield right("results", f"{folder}: writable, {free_mib} MiB free")


def _bundles(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the bundles are whole."""
    try:
        analyses = open_analyses([], configuration)
    except (BundleRejected, ModelContractBroken, UnusableCall) as problem:
        yield wrong("bundles", str(problem), "install the bundle again, or set models.path")
        return
    for analysis in analyses:
        bundle = analysis.bundle
        told = f"{bundle.name} {bundle.version}, every byte as listed"
        yield right(f"bundle {analysis.name}", told)


def _versions(configuration: Configuration, place: str) -> Iterator[Finding]:
    """Look whether the versions that are given work are in the registry, and whole."""
    registry = configuration.models.registry
    if registry is None:
        return
    try:
        with Ledger.open(place) as ledger:
            versions = Versions(ledger).listed()
    except (LedgerUnavailable, UnusableCall):
        return
    for version in versions:
        if version.role not in (Role.LIVE, Role.CANARY, Role.SHADOW):
            continue
        what = f"version {version.label}"
        try:
            Registry(root=registry, models=configuration.models).load(version.digest)
        except BundleRejected as problem:
            remedy = "share models.registry between the machines, or import the bundle again"
            yield wrong(what, str(problem), remedy)
        else:
            yield right(what, f"{version.role.value}, every byte as listed")


def _cores(configuration: Configuration) -> Iterator[Finding]:
    """Look whether a worker would use more cores than there are."""
    processes, each = configuration.worker.processes, configuration.worker.threads_each
    cores = os.cpu_count() or 1
    told = f"{processes} processes of {each} threads on {cores} cores"
    if processes * each > cores:
        yield wrong("cores", told, "lower worker.processes or worker.threads")
    else:
        yield right("cores", told)


def _readers() -> Iterator[Finding]:
    """Look what holds of the processes that read what comes from outside."""
    found = holds()
    parts = [
        f"Landlock {found.landlock}" if found.landlock else None,
        "seccomp" if found.seccomp else None,
        "resource limits",
    ]
    told = f"confined by {', '.join(part for part in parts if part)}"
    if found.landlock and found.seccomp:
        yield right("readers", told)
    else:
        remedy = "files and connections are not kept from them: a kernel of 5.13 or later has both"
        yield Finding(what="readers", level=Level.WARN, told=told, remedy=remedy)


def _providers(configuration: Configuration) -> Iterator[Finding]:
    """Look whether what was asked for to run models is there."""
    names = ", ".join(configuration.worker.providers)
    try:
        check_providers(configuration.worker.providers)
    except UnusableCall as problem:
        yield wrong("providers", str(problem), "install it, or set worker.providers")
    else:
        yield right("providers", names)
