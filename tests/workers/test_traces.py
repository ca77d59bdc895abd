"""The trace of a job: begun by the command, continued by the worker, received over HTTP."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.config import read_configuration
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import Wanted, jobs
from tests.support.service import ROOT
from tests.support.tally import SITE, write_tally_bundle, write_volumes
from workers.tasks import Station

pytest.importorskip("opentelemetry.sdk", reason="no OpenTelemetry")


class Receiver(BaseHTTPRequestHandler):
    """Takes what is sent, as a collector does."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


def test_a_job_is_one_trace_from_the_command_to_the_worker(tmp_path: Path) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    Receiver.bodies = []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        models, place = write_tally_bundle(tmp_path / "models"), str(tmp_path / "ledger.db")
        config = tmp_path / "site.toml"
        config.write_text(
            f'[models]\npath = "{models}"\n[worker]\nthreads = 1\n[monitoring]\n'
            f'traces = "http://127.0.0.1:{server.server_address[1]}/v1/traces"\n'
        )
        words = ["submit", write_volumes(tmp_path / "MARKED^PATIENT", 1)[0], "--analysis", "tally"]
        options = ["--output", tmp_path / "out", "--config", config, "--ledger", place]
        subprocess.run(
            [sys.executable, "-m", "workers.cli", *words, *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE)))},
            check=True,
            capture_output=True,
        )
        with Ledger.open(place) as ledger:
            [job] = jobs(ledger, Wanted())
        station = Station(configuration=read_configuration(config), place=place)
        assert station.work(job.job_id) == "done"
        assert station.traces is not None
        station.traces.close()
        station.bench.ledger.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    spans = {
        span.name: span
        for body in Receiver.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert set(spans) == {"submit", "attempt"}
    assert {span.trace_id for span in spans.values()} == {job.job_id.bytes}
    assert spans["submit"].parent_span_id == b""
    assert spans["attempt"].parent_span_id == spans["submit"].span_id
    told = {a.key: a.value.string_value for a in spans["attempt"].attributes}
    assert told == {"vesalius.job_id": str(job.job_id), "vesalius.state": "done"}
    assert b"MARKED" not in b"".join(Receiver.bodies)
