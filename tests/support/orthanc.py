"""An Orthanc of the tests' own: on loopback, with its own ports and folder."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import free_port

SERVER = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
GDCM = Path("/usr/share/orthanc/plugins/libOrthancGdcm.so")

STARTS_S = 30.0
"""A server that does not answer after this time will not [s]."""

needs_orthanc = pytest.mark.skipif(
    not (SERVER.exists() and DICOMWEB.exists()), reason="Orthanc with DICOMweb is not installed"
)


class Orthanc:
    """An Orthanc server that can be killed and started again on the same ports and data.

    Parameters
    ----------
    folder
        Keeps its data.
    aet
        Its title.
    modalities
        Other systems by name, each ``[title, host, port]`` or Orthanc's own record of one.
    settings
        More of Orthanc's settings.
    """

    def __init__(
        self,
        folder: Path,
        *,
        aet: str = "ORTHANC",
        modalities: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.aet = folder, aet
        self.port, self.http_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, Any] = {
            "Name": aet,
            "StorageDirectory": str(folder / "data"),
            "IndexDirectory": str(folder / "data"),
            "HttpPort": self.http_port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": aet,
            "DicomPort": self.port,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowGet": True,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": False,
            "MaximumPduLength": 131072,
            "StableAge": 1,
            "DicomModalities": dict(modalities or {}),
            "Plugins": [str(DICOMWEB), *([str(GDCM)] if GDCM.exists() else [])],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **(settings or {}),
        }

    def __enter__(self) -> "Orthanc":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Root of its DICOMweb services."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = self.folder / "orthanc.json"
        settings.write_text(json.dumps(self._settings))
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SERVER), str(settings)],
                env={**os.environ, "TCP_NODELAY": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + STARTS_S
        while not self._answers():
            alive = self._process.poll() is None and time.monotonic() < until
            assert alive, (self.folder / "orthanc.log").read_text(errors="replace")[-3000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server in an orderly way."""
        self._end(signal.SIGTERM)

    def rest(self, path: str, body: Any = None) -> Any:
        """Return what its own interface answers; a body is posted."""
        content = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http_port}{path}", data=content, timeout=60
        ) as answer:
            return json.loads(answer.read())

    def put(self, path: str, body: Any) -> None:
        """Set something of its own interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            data=json.dumps(body).encode(),
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - our own server

    def preview(self, orthanc_id: str) -> bytes:
        """Return the picture that its viewer shows of an instance, PNG."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/instances/{orthanc_id}/preview",
            headers={"Accept": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            return bytes(answer.read())

    def file(self, orthanc_id: str) -> bytes:
        """Return an instance as it stores it."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http_port}/instances/{orthanc_id}/file", timeout=60
        ) as answer:
            return bytes(answer.read())

    def upload(self, *files: Path) -> None:
        """Store files."""
        for path in files:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.http_port}/instances", data=path.read_bytes()
            )
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - our own server

    def sop_instance_uids(self) -> list[str]:
        """Return what it holds."""
        found = self.rest("/instances?expand")
        return sorted(one["MainDicomTags"]["SOPInstanceUID"] for one in found)

    def _end(self, number: int) -> None:
        """Send a signal to the server, and wait for its end."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        """Tell whether it takes requests."""
        try:
            self.rest("/system")
        except OSError:
            return False
        return True
