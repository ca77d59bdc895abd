"""Traces of jobs from their submission to their result, sent by OTLP where the settings say so.

A job's trace and its first span are named by the job id itself, so that a worker continues what
``submit`` began without anything being handed on. OpenTelemetry is imported only by who uses it:
this module by a process that was told to trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

SPAN_BITS = (1 << 64) - 1
"""A span's id has 64 bits: a job id's last, which its variant keeps from being 0."""

SEND_EVERY_MS = 1000
"""Time between two sendings [ms]."""


class JobIds(RandomIdGenerator):
    """Names spans at random, but for the first span of a job."""

    job_id: UUID | None = None
    """The job whose first span is made now."""

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        return self.job_id.int if self.job_id else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        return self.job_id.int & SPAN_BITS if self.job_id else super().generate_span_id()


class Traces:
    """Records the spans of jobs, and sends them to a receiver of OTLP over HTTP."""

    def __init__(self, address: str) -> None:
        self._ids = JobIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "vesalius"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(address), schedule_delay_millis=SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("vesalius")

    def submitted(self, job_id: UUID) -> None:
        """Record that a job was submitted: the first span of its trace."""
        self._ids.job_id = job_id
        try:
            span = self._tracer.start_span("submit")
        finally:
            self._ids.job_id = None
        span.set_attribute("vesalius.job_id", str(job_id))
        span.end()

    @contextmanager
    def attempt(self, job_id: UUID) -> Iterator[dict[str, str]]:
        """Record what a worker does with a job; what is put into the mapping goes with its span."""
        first = SpanContext(
            trace_id=job_id.int,
            span_id=job_id.int & SPAN_BITS,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        told = {"vesalius.job_id": str(job_id)}
        # The message of an exception may quote a data set.
        with self._tracer.start_as_current_span(
            "attempt",
            set_span_in_context(NonRecordingSpan(first)),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield told
            finally:
                span.set_attributes(told)

    def close(self) -> None:
        """Send what is recorded."""
        self._provider.shutdown()
