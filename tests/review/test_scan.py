"""Scanners that others wrote find nothing: wapiti on the page and its API, sslscan on TLS."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree

import pytest

from pipeline.config import Configuration
from pipeline.reviewsettings import ReviewSettings
from tests.support.certificates import Authority
from tests.support.reviewserver import Served, serving

pytestmark = pytest.mark.service

MODULES = (
    *("csp", "http_headers", "cookieflags", "methods", "backup"),
    *("xss", "permanentxss", "sql", "exec", "file", "crlf", "redirect"),
)
"""What wapiti tries: headers, cookies, and every kind of injection that it has."""

EXPECTED = (
    # Browsers have given it up, and where it is still heeded it opens holes.
    "X-XSS-Protection is not set",
    # Served in the clear to this machine alone; over TLS test_sessions.py asks for it.
    "Strict-Transport-Security is not set",
)
"""Findings that are right to be as they are."""

LONGEST_S = 120
"""Time that a scan may take [s]."""


def program(name: str) -> str:
    """Return a scanner's path; the test is skipped without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_wapiti_finds_nothing_as_an_administrator(
    served: Served, job: UUID, tmp_path: Path
) -> None:
    adam, report = served.person("adam"), tmp_path / "report.json"
    cookie = "; ".join(f"{c.name}={c.value}" for c in adam.cookies)
    reached = (
        "/api/worklist?analysis=perfusion&text=a&sort=uncertainty&limit=5",
        f"/api/jobs/{job}",
        f"/api/jobs/{job}/files/result.json",
        "/api/statistics?analysis=perfusion",
        "/api/audit?limit=5",
        "/dicomweb/studies?PatientID=1&limit=5",
    )
    call = [program("wapiti"), "-u", f"{adam.url}/", "--scope", "domain", "-m", ",".join(MODULES)]
    for path in reached:
        call += ["-s", adam.url + path]
    call += ["-H", f"Cookie: {cookie}", "-f", "json", "-o", str(report), "--no-bugreport"]
    call += ["--flush-session", "--store-session", str(tmp_path), "--max-scan-time", str(LONGEST_S)]
    ran = subprocess.run(call, capture_output=True, text=True, timeout=2 * LONGEST_S, check=False)
    assert report.exists(), ran.stdout[-2000:] + ran.stderr[-2000:]
    document = json.loads(report.read_text())
    assert "Launching module xss" in ran.stdout
    told = [
        each["info"]
        for section in ("vulnerabilities", "anomalies")
        for findings in document[section].values()
        for each in findings
    ]
    assert [info for info in told if not info.startswith(EXPECTED)] == []


def test_sslscan_finds_no_old_version_and_no_weak_cipher(tmp_path: Path) -> None:
    shown = Authority(tmp_path).vouch("localhost")
    review = ReviewSettings(port=0, tls_certificate=shown.certificate, tls_key=shown.key)
    with serving(tmp_path / "ledger.db", Configuration(review=review)) as served:
        where = f"localhost:{urlsplit(served.url).port}"
        ran = subprocess.run(
            [program("sslscan"), "--xml=-", where],
            capture_output=True,
            timeout=LONGEST_S,
            check=True,
        )
    found = ElementTree.fromstring(ran.stdout)  # noqa: S314 - of a program of this machine
    enabled = {
        f"{p.get('type')} {p.get('version')}"
        for p in found.iter("protocol")
        if p.get("enabled") == "1"
    }
    assert enabled == {"tls 1.2", "tls 1.3"}
    ciphers = list(found.iter("cipher"))
    assert ciphers
    assert {c.get("strength") for c in ciphers} <= {"acceptable", "strong"}
    for name in ("heartbleed", "compression", "renegotiation"):
        for each in found.iter(name):
            assert "1" not in {each.get("vulnerable"), each.get("supported")} or (
                name == "renegotiation" and each.get("secure") == "1"
            )
