"""Take stock of the inputs: which series they hold, and what is refused and why.

Headers of every file are read and every file is hashed; pixels are read only when a candidate is
loaded. A bad file or series never disturbs the good one beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pydicom.config
from pydicom.uid import UID

from pipeline.errors import IncompleteSeries, NotApplicable, StudyRejected
from pipeline.identity import digest_set
from pipeline.ingest.beats import RAGGED_END
from pipeline.ingest.candidate import Candidate, Refusal
from pipeline.ingest.collect import Collection, collect
from pipeline.ingest.consistency import check_identity, grouped, one_of_each
from pipeline.ingest.dualseries import join_arterial
from pipeline.ingest.frame import Frame, Instance
from pipeline.ingest.intake import BrokenInstance, Intake, file_refusal, take_in
from pipeline.ingest.limits import Limits, in_force
from pipeline.ingest.patients import take_out_mixed
from pipeline.ingest.pixels import load_series
from pipeline.ingest.raw.reference import Reference
from pipeline.ingest.series import Assembly, assemble, join_slices
from pipeline.ingest.video.candidates import DicomVideo, dicom_candidate
from pipeline.study import InputSeries

__all__ = ["Candidate", "Inventory", "Refusal", "take_inventory"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What the inputs hold."""

    candidates: tuple[Candidate, ...]
    """Sound series: MR and CT images, NIfTI files, raw data, video, then everything else."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed, each with its reason."""

    ignored: tuple[str, ...]
    """Files that are neither DICOM nor NIfTI nor raw data and do not claim to be."""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is missing in the grids of slices and beats, as far as they show it."""
        return (
            *(f"{r.label}: {r.reason}" for r in self.refusals if r.is_incomplete),
            *(
                f"{candidate.label}: {note}"
                for candidate in self.candidates
                for note in candidate.notes
                if RAGGED_END in note
            ),
        )


def take_inventory(
    inputs: Sequence[Path],
    *,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
    reference: Reference | None = None,
) -> Inventory:
    """List the series of files, folders or a DICOMDIR.

    Parameters
    ----------
    inputs
        Files, folders at any depth with junk among them, or a DICOMDIR.
    limits
        What a file may ask for; None takes what is in force.
    progress
        Called with the number of files that were read, and the number of all files.
    reference
        Whose raw data are and where they lie, as far as their files do not say.

    Raises
    ------
    UnusableCall
        If an input does not exist.
    """
    limits = limits or in_force()
    collection = collect(inputs, limits)
    intake = take_in(collection, limits, progress, reference)
    mixed = take_out_mixed(intake)
    assemblies, refusals = _assembled(intake, limits)
    others, other_refusals = _others(intake.others)
    whole = join_arterial(join_slices(assemblies, limits))
    candidates = [_candidate(assembly) for assembly in whole]
    videos, video_refusals = _videos(intake.dicom_videos)
    return Inventory(
        candidates=(
            *candidates,
            *intake.nifti,
            *intake.raw,
            *videos,
            *intake.videos,
            *others,
        ),
        refusals=(
            *intake.refusals,
            *mixed,
            *refusals,
            *video_refusals,
            *other_refusals,
            *_without_images(inputs, collection, intake),
        ),
        ignored=tuple(intake.ignored),
    )


def _assembled(intake: Intake, limits: Limits) -> tuple[list[Assembly], list[Refusal]]:
    """Return the series that make a regular image over time, and why the others do not."""
    assemblies, refusals = [], []
    lost = {
        group[0].instance.series_instance_uid: group
        for group in grouped(intake.broken, lambda b: b.instance.series_instance_uid)
    }
    for series in grouped(list(intake.frames), _series_uid):
        broken = lost.pop(series[0].series_instance_uid, [])
        refusals += [_refusal([b.instance], b.reason, label=b.instance.name) for b in broken]
        try:
            assemblies.append(_one_series(series, broken, intake.frames, limits))
        except StudyRejected as error:
            refusal = _refusal(series, str(error))
            is_incomplete = isinstance(error, IncompleteSeries)
            refusals.append(replace(refusal, is_incomplete=is_incomplete))
    for broken in lost.values():
        also = f" (and {len(broken) - 1} more instances)" if len(broken) > 1 else ""
        refusals.append(_refusal([b.instance for b in broken], broken[0].reason + also))
    return assemblies, refusals


def _one_series(
    series: list[Instance],
    broken: list[BrokenInstance],
    frames: dict[Instance, tuple[Frame, ...]],
    limits: Limits,
) -> Assembly:
    """Assemble one series, with notes on copies and on instances that were left out."""
    instances, n_copies = one_of_each(series)
    own = [frame for instance in instances for frame in frames[instance]]
    assembly = assemble(instances, own, limits)
    notes = [f"{n_copies} identical copies left out"] if n_copies else []
    known = {instance.sop_instance_uid for instance in instances}
    notes += [
        f"left out, cannot be read: {b.instance.named}"
        for b in broken
        if b.instance.sop_instance_uid not in known
    ]
    return replace(assembly, notes=(*notes, *assembly.notes))


def _candidate(assembly: Assembly) -> Candidate:
    """Return a series that was placed as a candidate."""
    first = assembly.slices[0][0].instance
    n_beats, n_slices, rows, columns = assembly.shape
    series_uids = dict.fromkeys(m[0].instance.series_instance_uid for m in assembly.slices)
    return Candidate(
        label=first.series_instance_uid,
        study_instance_uid=first.study_instance_uid,
        series_instance_uids=tuple(series_uids),
        modality=first.modality or "MR",
        sop_class_uid=first.sop_class_uid,
        n_instances=len(assembly.instances),
        n_beats=n_beats,
        n_slices=n_slices,
        rows=rows,
        columns=columns,
        input_digest=digest_set(i.sha256 for i in assembly.instances),
        files=tuple(i.path for i in assembly.instances),
        notes=assembly.notes,
        read=partial(load_series, assembly),
    )


def _videos(videos: list[DicomVideo]) -> tuple[list[Candidate], list[Refusal]]:
    """Return the series of DICOM video, each as one case."""
    candidates, refusals = [], []
    for series in grouped(videos, lambda v: v.instance.series_instance_uid):
        own = [v.instance for v in series]
        try:
            kept, _ = one_of_each(own)
            check_identity(kept)
            candidates.append(dicom_candidate([v for v in series if v.instance in kept]))
        except StudyRejected as error:
            refusals.append(_refusal(own, str(error)))
    return candidates, refusals


def _others(instances: list[Instance]) -> tuple[list[Candidate], list[Refusal]]:
    """Return what is no image of a volume: sound, listed, and not to be loaded."""
    candidates, refusals = [], []
    for series in grouped(instances, lambda i: (i.series_instance_uid, i.sop_class_uid)):
        try:
            kept, _ = one_of_each(series)
            check_identity(kept)
        except StudyRejected as error:
            refusals.append(_refusal(series, str(error)))
            continue
        first = kept[0]
        candidates.append(
            Candidate(
                label=first.series_instance_uid,
                study_instance_uid=first.study_instance_uid,
                series_instance_uids=(first.series_instance_uid,),
                modality=first.modality,
                sop_class_uid=first.sop_class_uid,
                n_instances=len(kept),
                n_beats=0,
                n_slices=0,
                rows=0,
                columns=0,
                input_digest=digest_set(i.sha256 for i in kept),
                files=tuple(i.path for i in kept),
                notes=(),
                read=partial(_not_an_image, first.sop_class_uid),
            )
        )
    return candidates, refusals


def _not_an_image(sop_class_uid: str) -> InputSeries:
    """Say why an object cannot be loaded."""
    name = UID(sop_class_uid, validation_mode=pydicom.config.IGNORE).name
    raise NotApplicable(f"{name}: only images of MR and CT are read")


def _without_images(
    inputs: Sequence[Path], collection: Collection, intake: Intake
) -> list[Refusal]:
    """Refuse the folders that were given and hold no image and no raw data."""
    refusals = []
    for folder in (given for given in inputs if given.is_dir()):
        root = folder.resolve()
        names = [f.name for f in collection.files if f.path.resolve().is_relative_to(root)]
        if set(names) <= set(intake.ignored):
            among = f" among its {len(names)} files" if names else ": it is empty"
            name = root.name
            refusals.append(file_refusal(name, f"{name}: no DICOM or NIfTI file{among}"))
    return refusals


def _refusal(instances: list[Instance], reason: str, *, label: str | None = None) -> Refusal:
    """Return the refusal of a series, or of an instance of it."""
    first = instances[0]
    return Refusal(
        label=label or first.series_instance_uid,
        reason=reason,
        study_instance_uid=first.study_instance_uid,
        series_instance_uids=(first.series_instance_uid,),
        files=tuple(i.name for i in instances),
    )


def _series_uid(instance: Instance) -> str:
    return instance.series_instance_uid
