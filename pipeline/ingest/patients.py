"""Studies that cannot be one patient's: nothing of them is analysed, since nobody can say whose.

Within a series every attribute of identity must agree (``consistency``); between the series of a
study, names are corrected and written in other ways, and only Patient ID (0010,0020) must.
"""

from pipeline.ingest.candidate import Refusal
from pipeline.ingest.consistency import grouped, odd_ones
from pipeline.ingest.frame import Instance, listed
from pipeline.ingest.intake import Intake


def take_out_mixed(intake: Intake) -> list[Refusal]:
    """Take the instances of studies of two patients out of an intake, and say why."""
    refusals = []
    known = [
        *intake.frames,
        *(b.instance for b in intake.broken),
        *intake.others,
        *(v.instance for v in intake.dicom_videos),
    ]
    for study in grouped(known, lambda i: i.study_instance_uid):
        stated = [i for i in study if i.patient.patient_id]
        odd = odd_ones(stated, lambda i: i.patient.patient_id)
        if odd and not _is_one_series(odd, stated):
            refusals += _refused(study, odd)
            _take_out(intake, study[0].study_instance_uid)
    return refusals


def _is_one_series(odd: list[Instance], stated: list[Instance]) -> bool:
    """Tell whether the odd ones lie within a series of others: that series alone is refused."""
    odd_series = {i.series_instance_uid for i in odd}
    usual = {i.series_instance_uid for i in stated} - odd_series
    others = [i for i in stated if i.series_instance_uid in odd_series and i not in odd]
    within = {i.series_instance_uid for i in others}
    return bool(odd_series) and odd_series <= within and (bool(usual) or len(odd_series) == 1)


def _refused(study: list[Instance], odd: list[Instance]) -> list[Refusal]:
    """Return the refusal of each series of a study."""
    series = dict.fromkeys(i.series_instance_uid for i in odd)
    reason = (
        "the study is two patients', Patient ID (0010,0020) differs between its series: "
        f"{listed(list(series))} are not as most"
    )
    return [
        Refusal(
            label=own[0].series_instance_uid,
            reason=reason,
            study_instance_uid=own[0].study_instance_uid,
            series_instance_uids=(own[0].series_instance_uid,),
            files=tuple(i.name for i in own),
        )
        for own in grouped(study, lambda i: i.series_instance_uid)
    ]


def _take_out(intake: Intake, study_instance_uid: str) -> None:
    """Forget the instances of a study."""

    def stays(instance: Instance) -> bool:
        return instance.study_instance_uid != study_instance_uid

    intake.frames = {i: frames for i, frames in intake.frames.items() if stays(i)}
    intake.broken = [b for b in intake.broken if stays(b.instance)]
    intake.others = [i for i in intake.others if stays(i)]
    intake.dicom_videos = [v for v in intake.dicom_videos if stays(v.instance)]
