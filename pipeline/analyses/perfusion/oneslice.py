"""The whole pool on one slice of a series: located, made ready, segmented, chosen."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.endocardium import moved_endocardium
from pipeline.analyses.perfusion.locate import Place, likely_places
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.pool import (
    MemberMaps,
    Network,
    choose,
    combined,
    members_needed,
    score,
    sweep,
)
from pipeline.analyses.perfusion.prepare import PreparedSlice, prepare_standing
from pipeline.analyses.perfusion.result import MYOCARDIUM, MemberScore
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.analyses.perfusion.signs import signs_of, with_neighbours
from pipeline.analyses.perfusion.verdict import Signs
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.study import InputSeries


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceAnalysis:
    """All that was computed on one slice, also by the members that were not chosen."""

    prepared: PreparedSlice
    """The slice as the pool saw it."""

    maps: tuple[MemberMaps, ...]
    """Maps of every member that was run: the first ones of the pool."""

    scores: tuple[MemberScore, ...]
    """Their scores."""

    chosen: int | None
    """Which member was chosen."""

    final: MemberMaps | None
    """Maps that the slice is segmented by: the chosen member's, unless the site has set otherwise;
    None where none was chosen."""

    shape: tuple[int, int]
    """Rows and columns of the slice."""

    place_rank: int = 1
    """Which of the likely places of the heart it is, the likeliest being 1."""

    @property
    def u_pp(self) -> float:
        """U_pp of the chosen member; infinite where none was chosen."""
        return float("inf") if self.chosen is None else self.scores[self.chosen].u_pp

    @property
    def classes(self) -> NDArray[np.uint8] | None:
        """Segmentation on the model's grid; None where there is none. Shape ``(size, size)``."""
        if self.final is None:
            return None
        return self.drawn(self.final.probabilities)

    def drawn(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return probabilities as classes, both on the model's grid.

        Parameters
        ----------
        probabilities
            Shape ``(classes, size, size)``.

        Returns
        -------
            Class of each point. Shape ``(size, size)``.
        """
        classes: NDArray[np.uint8] = self._moved(probabilities).argmax(axis=0).astype(np.uint8)
        return classes

    def segmentation(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return probabilities on the model's grid as classes on the slice.

        Probabilities are interpolated before the most probable class is taken, so that contours are
        not bound to the model's grid.

        Parameters
        ----------
        probabilities
            Shape ``(classes, size, size)``.

        Returns
        -------
            Class of each pixel. Shape ``(rows, columns)``.
        """
        on_slice = [
            self.prepared.grid.to_slice(p, self.shape, outside=float(index == 0))
            for index, p in enumerate(self._moved(probabilities))
        ]
        classes: NDArray[np.uint8] = np.argmax(on_slice, axis=0).astype(np.uint8)
        return classes

    def _moved(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities with the endocardial contour where readers draw it."""
        prepared = self.prepared
        return moved_endocardium(
            probabilities, prepared.grid.spacing_mm, prepared.endocardial_offset_mm
        )


def analyse_slice(
    series: InputSeries,
    index: int,
    model: tuple[Pool, PerfusionSettings],
    stopwatch: Stopwatch,
) -> SliceAnalysis:
    """Run the whole pool on one slice.

    Parameters
    ----------
    series
        The series.
    index
        The slice, from 0.
    model
        The networks and what the site has set.
    stopwatch
        Takes the time of the stages ``locate``, ``prepare`` and ``infer``.
    """
    pool, settings = model
    frames = series.image.array[:, index]
    spacing = series.image.spacing_mm[1:]
    with stopwatch.stage("locate"):
        places = likely_places(frames, spacing, pool.locator)

    def at(place: Place) -> SliceAnalysis:
        with stopwatch.stage("prepare"):
            prepared = prepare_standing(
                frames, spacing, place, (pool.locator, pool.grid), settings.motion
            )
        return segment_slice(prepared, (frames.shape[1], frames.shape[2]), model, stopwatch)

    return surest(map(at, places), settings.flag_u_pp)


def surest(tries: Iterable[SliceAnalysis], sure_u_pp: float) -> SliceAnalysis:
    """Return what was found where the pool is sure of it, or else at the likeliest place.

    A great vessel may pass for the heart, but no ring is closed around it, and the pool is unsure:
    where several places were likely on real series, U_pp was 0.001 to 0.006 at the heart and 0.02
    to 0.19 at others. A pool that is sure nowhere says nothing of places: the likeliest one with a
    plausible myocardium stays.

    Parameters
    ----------
    tries
        What is found at each likely place of the heart, the likeliest first. Further ones are
        asked for only while the pool is unsure.
    sure_u_pp
        U_pp of the chosen member up to which no further place is tried.
    """
    tried: list[SliceAnalysis] = []
    for rank, one in enumerate(tries, start=1):
        tried.append(replace(one, place_rank=rank))
        if one.u_pp <= sure_u_pp:
            return tried[-1]
    return next((one for one in tried if one.chosen is not None), tried[0])


def segment_slice(
    prepared: PreparedSlice,
    shape: tuple[int, int],
    model: tuple[Pool, PerfusionSettings],
    stopwatch: Stopwatch,
) -> SliceAnalysis:
    """Run the pool on a slice that was made ready, and choose.

    Parameters
    ----------
    prepared
        The slice.
    shape
        Its rows and columns.
    model
        The networks and what the site has set.
    stopwatch
        Takes the time of the stage ``infer``.
    """
    with stopwatch.stage("infer"):
        maps, scores = _swept(prepared, model)
    return SliceAnalysis(
        prepared=prepared,
        maps=maps,
        scores=scores,
        chosen=choose(scores),
        final=combined(maps, scores, model[1].segmentation),
        shape=shape,
    )


def with_first_members(
    found: SliceAnalysis, settings: PerfusionSettings, count: int | None
) -> SliceAnalysis:
    """Return what would have been found by the first members of the pool alone.

    Parameters
    ----------
    found
        What the whole pool found.
    settings
        What the site has set.
    count
        How many members there are; None takes as many as ``stop_below_u_pp`` needs.
    """
    if count is None:
        count = members_needed(found.scores, settings.stop_below_u_pp) or len(found.scores)
    maps, scores = found.maps[:count], found.scores[:count]
    return replace(
        found,
        maps=maps,
        scores=scores,
        chosen=choose(scores),
        final=combined(maps, scores, settings.segmentation),
    )


def signs_on(found: Sequence[SliceAnalysis]) -> dict[int, Signs]:
    """Return the signs of the slices of a series that have a segmentation, by their numbers.

    Parameters
    ----------
    found
        All slices, ascending.
    """
    kept = [
        (index, one, classes, one.chosen)
        for index, one in enumerate(found)
        if (classes := one.classes) is not None
        and one.chosen is not None
        # A blend of plausible members may still have no myocardium.
        and (classes == MYOCARDIUM).any()
    ]
    signs = [signs_of(f.prepared, c, (f.maps, f.scores), chosen) for _, f, c, chosen in kept]
    told = with_neighbours(signs, [f.prepared for _, f, _, _ in kept], [c for _, _, c, _ in kept])
    return {index: one for (index, *_), one in zip(kept, told, strict=True)}


def _swept(
    prepared: PreparedSlice, model: tuple[Pool, PerfusionSettings]
) -> tuple[tuple[MemberMaps, ...], tuple[MemberScore, ...]]:
    """Run members in their order, as many at a time as there are cores, until they are enough.

    Those that ran ahead of what was needed are dropped: the number of cores changes no result.
    """
    pool, settings = model
    stop = settings.stop_below_u_pp

    def run(member: Network) -> MemberMaps:
        return sweep(prepared.beats, member, pool.grid, settings.uncertainty_stride)

    maps: list[MemberMaps] = []
    scores: list[MemberScore] = []
    at_once = pool.workers if stop else len(pool.members)
    with ThreadPoolExecutor(max_workers=pool.workers) as threads:
        for begin in range(0, len(pool.members), at_once):
            for found in threads.map(run, pool.members[begin : begin + at_once]):
                maps.append(found)
                scores.append(score(pool.names[len(scores)], found, pool.grid, settings))
            needed = members_needed(scores, stop)
            if needed is not None:
                return tuple(maps[:needed]), tuple(scores[:needed])
    return tuple(maps), tuple(scores)
