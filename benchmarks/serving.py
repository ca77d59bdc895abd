"""Area ``serving``: an analysis, and the whole command, over the networks alone."""

from collections.abc import Iterator

from benchmarks.command import measure_command
from benchmarks.inference import measure_inference
from benchmarks.row import Row, Terms
from pipeline.analyses.perfusion.settings import PerfusionSettings
from pipeline.infer.bundle import find_bundle

BARE = "the same networks on the same patches, in onnxruntime"


def measure(terms: Terms) -> Iterator[Row]:
    """Yield perfusion's analysis and command over their networks."""
    folder = find_bundle("perfusion")
    for stride in (8,) if terms.is_small else (8, 4):
        settings = PerfusionSettings(uncertainty_stride=stride)
        cost = measure_inference(folder, settings, n_slices=1, rounds=terms.rounds)
        yield Row(
            area="serving",
            what=f"perfusion's analysis, 1 slice, uncertainty at stride {stride}",
            against=BARE,
            ours=cost.serving_seconds,
            theirs=cost.bare_seconds,
            aim=1.1,
        )
    whole = [measure_command(n_slices=1) for _ in range(terms.rounds)]
    yield Row(
        area="serving",
        what="vesalius run on a perfusion series of 1 slice",
        against=BARE,
        ours=tuple(cost.command_seconds for cost in whole),
        theirs=tuple(cost.bare_seconds for cost in whole),
        aim=1.1,
    )
