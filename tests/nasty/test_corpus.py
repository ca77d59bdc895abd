"""Every kind of nasty file gets the verdict that it must get; the whole corpus is a benchmark.

``python -m benchmarks.nasty`` tries all of it at every door of a service.
"""

from pathlib import Path
from types import ModuleType

import pytest

from tests.nasty.case import Case, Verdict
from tests.nasty.corpus import SUBJECTS, generated, installed, written
from tests.nasty.judge import judged

EVERY = {
    "cuts": 9,
    "encapsulated": 13,
    "uids": 4,
    "words": 4,
    "nifti": 2,
    "pixels": 3,
    "numbers": 5,
}
"""Of these kinds, of which there are many, only every so manieth is tried here."""


def test_there_are_many_and_each_has_a_verdict() -> None:
    assert len(generated()) >= 800
    judged_ones = [case for case in generated() if case.verdict is not Verdict.ANY]
    assert len(judged_ones) >= 0.85 * len(generated())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda one: one.__name__.rsplit(".", 1)[-1])
def test_a_nasty_file_gets_its_verdict(subject: ModuleType, tmp_path: Path) -> None:
    kinds: dict[str, list[Case]] = {}
    for case in subject.cases():
        kinds.setdefault(case.kind, []).append(case)
    cases = [case for kind, some in kinds.items() for case in some[:: EVERY.get(kind, 1)]]
    found = {case.folder: (case.verdict, judged(f).verdict) for case, f in written(cases, tmp_path)}
    wrong = {
        name: f"{is_now}, not {meant}"
        for name, (meant, is_now) in found.items()
        if meant not in (Verdict.ANY, is_now)
    }
    assert not wrong


@pytest.mark.filterwarnings("ignore")
def test_odd_files_of_installed_packages_are_survived(tmp_path: Path) -> None:
    cases = installed()[::3]
    assert len(cases) > 40
    for _, folder in written(cases, tmp_path):
        judged(folder)
