"""Objects of every kind that the analyses write, made once for tests that only read them."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.encode.perfusion import encode_perfusion
from pipeline.encode.phases import encode_phases
from pipeline.encode.reconstruction import encode_reconstruction
from tests.support.phaseresults import phases_result
from tests.support.rawresults import RAW_CONTEXT, known_header, raw_series, reconstruction_of
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from tests.support.vendors import STYLES, through


def write_perfusion(folder: Path, style: str = "standard") -> Path:
    """Write the objects of a perfusion result on a series of a style, and return their folder."""
    series = through(STYLES[style], stack(12, n_slices=3), folder / "source")
    out = folder / "perfusion"
    out.mkdir()
    encode_perfusion(result_on(series.image, empty_slices=(1,)), series, CONTEXT, out)
    return out


def write_reconstruction(folder: Path) -> Path:
    """Write the objects of a reconstruction, and return their folder."""
    series = raw_series(2, 2, header=known_header())
    out = folder / "reconstruction"
    out.mkdir()
    encode_reconstruction(reconstruction_of(series), series, RAW_CONTEXT, out)
    return out


def write_phases(folder: Path) -> Path:
    """Write the objects of a phase analysis, and return their folder."""
    from tests.encode.test_phases import REVIEW, write_case

    out = folder / "phases"
    out.mkdir()
    encode_phases(phases_result(), write_case(folder / "case"), CONTEXT, REVIEW, out)
    return out


def write_all(folder: Path) -> Mapping[str, Path]:
    """Write the objects of every analysis, and return their files by short names."""
    folders = (write_perfusion(folder), write_reconstruction(folder), write_phases(folder))
    return {
        f"{out.name}/{path.relative_to(out)}": path
        for out in folders
        for path in sorted(out.rglob("*.dcm"))
    }
