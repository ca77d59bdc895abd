"""Judge the phase analysis on labelled operations, beside the trivial ways to do the same.

From pictures the whole analysis is judged; from frame-wise outputs or tools, all of it but the
encoder. The baselines see the same evidence:

- ``argmax``: each second alone. For tools, the phase most often seen with them.
- ``hmm``: a plain hidden Markov model, run forwards, its likeliest phase.
- ``prior``: recognition without any evidence, by the time that has passed; anticipation by
  counting, given the phase that the analysis recognised, which is what a learned one has to beat.
- ``most_frequent``: the longest phase, always.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.analysis import kept_steps
from pipeline.analyses.phases.baselines import (
    argmax_prediction,
    blind_phase,
    counted_prediction,
    hmm_prediction,
    recognised_prediction,
)
from pipeline.analyses.phases.networks import PhaseNetworks
from pipeline.analyses.phases.recognise import Recognised, initial_state, recognise
from pipeline.analyses.phases.result import NO_PHASE, Mark
from pipeline.analyses.phases.runs import Columns
from pipeline.analyses.phases.scores import Prediction, Scores, Truth, score
from pipeline.analyses.phases.temporal import Observation, log_softmax
from pipeline.errors import StudyRejected, UnusableCall
from pipeline.labelledphases import Labelled, LabelledFrames, LabelledOutputs

OURS = "analysis"
"""Name of the way that is judged."""

BASELINES = ("argmax", "hmm", "prior", "most_frequent")
"""Names of the ways that it is compared with."""

Progress = Callable[[int, int], None]
"""Called with the number of operations that are done, and of all."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JudgedVideo:
    """One operation, with what every way says of it."""

    name: str
    """``video65``."""

    truth: Truth
    """Its labels."""

    predictions: Mapping[str, Prediction]
    """By the name of the way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All operations, and what they amount to."""

    videos: Mapping[str, Mapping[str, Scores]]
    """Figures of every operation, by way."""

    seconds: Mapping[str, int]
    """Labelled seconds of every operation."""

    summary: Mapping[str, Scores]
    """Figures over all operations, by way."""

    not_judged: Mapping[str, str]
    """Why an operation was not judged."""

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON values."""
        videos = [
            {"name": name, "seconds": self.seconds[name], **_beside(scores)}
            for name, scores in self.videos.items()
        ]
        return {
            "videos": videos,
            "summary": {"n_videos": len(videos), **_beside(self.summary)},
            "not_judged": dict(self.not_judged),
        }

    def table(self) -> str:
        """Return tables for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'video':10}  seconds  accuracy  (argmax    hmm)   edit  (argmax    hmm)"
        for name, scores in self.videos.items():
            ours, argmax, hmm = (scores[way] for way in (OURS, "argmax", "hmm"))
            yield (
                f"{name:10}  {self.seconds[name]:7}  {ours.accuracy:8.2f}  "
                f"({argmax.accuracy:6.2f} {hmm.accuracy:6.2f})  {ours.edit:5.1f}  "
                f"({argmax.edit:6.1f} {hmm.edit:6.1f})"
            )
        yield ""
        ways = (OURS, *BASELINES)
        yield f"{'means, in percent':32}" + "".join(f"{way:>15}" for way in ways)
        for label, key in _ROWS:
            values = (getattr(self.summary[way], key) for way in ways)
            yield f"{label:32}" + "".join(f"{value:15.2f}" for value in values)
        for place in range(len(self.summary[OURS].next_phase_accuracy)):
            shown = (self.summary[way].next_phase_accuracy[place] for way in ways)
            label = f"next phase, k = {place + 1}"
            yield f"{label:32}" + "".join(f"{value:15.2f}" for value in shown)
        yield from (f"not judged: {name}: {why}" for name, why in self.not_judged.items())


_ROWS = (
    ("accuracy, unrelaxed", "accuracy"),
    ("accuracy, 10 s relaxed", "accuracy_relaxed_10s"),
    ("precision, unrelaxed", "precision"),
    ("precision, 10 s relaxed", "precision_relaxed_10s"),
    ("recall, unrelaxed", "recall"),
    ("recall, 10 s relaxed", "recall_relaxed_10s"),
    ("Jaccard, unrelaxed", "jaccard"),
    ("Jaccard, 10 s relaxed", "jaccard_relaxed_10s"),
    ("Edit", "edit"),
    ("F1@10", "f1_10"),
    ("F1@25", "f1_25"),
    ("F1@50", "f1_50"),
    ("over-segmentation [times]", "over_segmentation"),
    ("remaining time, error [s]", "remaining_time_mae_s"),
)


def evaluate_phases(
    operations: Sequence[Labelled],
    networks: PhaseNetworks,
    progress: Progress = lambda _done, _all: None,
) -> Evaluation:
    """Judge every operation.

    Parameters
    ----------
    operations
        What is judged.
    networks
        What knows the procedure.
    progress
        Called before and after each operation.

    Raises
    ------
    UnusableCall
        If no operation can be judged.
    """
    judged: list[JudgedVideo] = []
    not_judged: dict[str, str] = {}
    for done, operation in enumerate(operations):
        progress(done, len(operations))
        try:
            judged.append(_judge(operation, networks))
        except StudyRejected as reason:
            not_judged[operation.name] = str(reason)
    progress(len(operations), len(operations))
    if not judged:
        raise UnusableCall(f"no operation can be judged; {'; '.join(not_judged.values())}")
    n = len(networks.procedure.phases)
    return Evaluation(
        videos={v.name: _scores([v], n) for v in judged},
        seconds={v.name: v.truth.phase.size for v in judged},
        summary=_scores(judged, n),
        not_judged=not_judged,
    )


def _scores(videos: Sequence[JudgedVideo], n_phases: int) -> dict[str, Scores]:
    """Return the figures of every way over some operations."""
    truths = [v.truth for v in videos]
    return {
        way: score([v.predictions[way] for v in videos], truths, n_phases)
        for way in (OURS, *BASELINES)
    }


def _judge(operation: Labelled, networks: PhaseNetworks) -> JudgedVideo:
    """Return what every way says of one operation at its labelled seconds."""
    if isinstance(operation, LabelledFrames):
        return _judge_frames(operation, networks)
    observations = [_observation(operation, second) for second in range(_length(operation))]
    recognised = []
    state = initial_state(networks)
    for observation in observations:
        one, state = recognise(observation, state, networks)
        recognised.append(one)
    phase = np.array([r.column for r in recognised], dtype=np.int64)
    evidence = [_evidence(observation, networks) for observation in observations]
    return _judged(operation.name, operation.truth, _Seen(recognised, phase, evidence), networks)


def _judge_frames(operation: LabelledFrames, networks: PhaseNetworks) -> JudgedVideo:
    """Return what every way says of frames; what lies between them counts for nothing."""
    steps = list(kept_steps(operation.frames(), networks))
    recognised = [step.recognised for step in steps]
    usable = np.array([step.sight.mark is Mark.USABLE for step in steps])
    column = np.array([r.column for r in recognised], dtype=np.int64)
    evidence = [
        None if np.isnan(r.raw).any() else np.log(np.maximum(r.raw, 1e-12).astype(np.float64))
        for r in recognised
    ]
    seen = _Seen(recognised, np.where(usable, column, NO_PHASE), evidence)
    return _judged(operation.name, operation.truth, seen, networks)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The seconds of one operation, from the first."""

    recognised: Sequence[Recognised]
    phase: Columns
    evidence: Sequence[NDArray[np.float64] | None]


def _judged(name: str, truth: Truth, seen: _Seen, networks: PhaseNetworks) -> JudgedVideo:
    """Return what every way says, at the labelled seconds."""
    longest = int(np.argmax([d.sum() for d in networks.counts.durations_seconds]))
    constant = np.full(seen.phase.size, longest, dtype=np.int64)
    counting = recognised_prediction(
        seen.recognised, blind_phase(seen.phase.size, networks), by_counting=True
    )
    predictions = {
        OURS: recognised_prediction(seen.recognised, seen.phase, by_counting=False),
        "argmax": argmax_prediction(seen.evidence, networks),
        "hmm": hmm_prediction(seen.evidence, networks),
        "prior": counting,
        "most_frequent": counted_prediction(constant, networks),
    }
    shown = truth.seconds < seen.phase.size
    if not shown.any():
        raise StudyRejected(f"{name}: no labelled second is within its {seen.phase.size} s")
    at = truth.seconds[shown]
    truth = Truth(seconds=at, phase=truth.phase[shown])
    chosen = {
        way: Prediction(
            phase=p.phase[at],
            following=p.following[at],
            remaining_seconds=p.remaining_seconds[at],
        )
        for way, p in predictions.items()
    }
    return JudgedVideo(name=name, truth=truth, predictions=chosen)


def _length(operation: LabelledOutputs) -> int:
    """Return the seconds of an operation."""
    return int(operation.truth.phase.size)


def _observation(operation: LabelledOutputs, second: int) -> Observation:
    """Return what one second brings."""
    logits, tools = operation.logits, operation.tools
    return Observation(
        log_probabilities=None if logits is None else log_softmax(logits[second]),
        tools=None if tools is None else tools[second],
    )


def _evidence(observation: Observation, networks: PhaseNetworks) -> NDArray[np.float64] | None:
    """Return the log probabilities of one second alone: those of its tools where it has no other.

    Raises
    ------
    UnusableCall
        If there are tools alone and the bundle does not tell which phases they are seen in.
    """
    if observation.log_probabilities is not None or observation.tools is None:
        return observation.log_probabilities
    if networks.tool_table is None:
        raise UnusableCall(f"the bundle knows no instruments of {networks.procedure.name}")
    present = int((observation.tools > 0.5) @ (1 << np.arange(observation.tools.size)))
    return np.asarray(np.log(networks.tool_table[present]), dtype=np.float64)


def _beside(scores: Mapping[str, Scores]) -> dict[str, object]:
    """Return the figures of the analysis, with those of the baselines beside them."""
    return {
        **scores[OURS].to_json(),
        "baselines": {way: scores[way].to_json() for way in BASELINES},
    }
