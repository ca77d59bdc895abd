"""Failures, sorted by what has to be done next.

The class answers "refuse, retry or page someone?". A message is safe to log: file names, UIDs,
tags, numbers and limits, never a patient's attributes.
"""


class PipelineError(Exception):
    """Base of every failure the pipeline raises on purpose."""


class StudyRejected(PipelineError):
    """The input cannot be processed as received. Never retried; reported to the sender."""


class UnreadableFile(StudyRejected):
    """A file is not what it claims: truncated, no pixel data, an unsupported transfer syntax."""


class InconsistentSeries(StudyRejected):
    """The instances of a series do not describe one regular image over time."""


class IncompleteSeries(InconsistentSeries):
    """Instances are missing in a series: they may still come."""


class NotApplicable(StudyRejected):
    """A sound series that this analysis is not made for: the reason says what it lacks."""


class AnalysisFailed(PipelineError):
    """The analysis ended without a result that can be trusted, such as no plausible myocardium."""


class BundleRejected(PipelineError):
    """A model bundle is incomplete, altered or of an unknown layout. Never loaded."""


class BundleUntrusted(BundleRejected):
    """A model bundle is whole, and not signed as the site demands. Never loaded."""


class SignatureUnusable(PipelineError):
    """A key or a signature is none that is understood. Says nothing of what was signed."""


class ModelContractBroken(PipelineError):
    """A model's output disagrees with its bundle. Ours: not retried, pages someone."""


class Interrupted(PipelineError):
    """A job was ended on purpose: cancelled, out of time, its claim lost, its worker stopping."""


class UnusableCall(PipelineError):
    """The command was called with arguments that cannot be carried out."""


class ReviewRefused(PipelineError):
    """A reader asks for what the state of a review, or of a result, forbids. Told to the reader."""


class LedgerUnavailable(PipelineError):
    """The ledger cannot be read or written now. What was computed is not recorded; run again."""


class PeerUnavailable(PipelineError):
    """Another system did not answer, or said that it cannot now. The only thing that is retried."""


class PeerRefused(PipelineError):
    """Another system has answered, and will not: the reason says with which status."""


class ObjectBlocked(PipelineError):
    """An object must not leave: it breaks a rule of its kind, or is altered. Pages someone."""
