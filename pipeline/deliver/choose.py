"""Choose where the result of a job goes: as the rules decided, and where every result goes."""

from collections.abc import Mapping, Sequence

from pipeline.connections import Destination
from pipeline.study import Artifact

Chosen = tuple[tuple[str, ...], Mapping[str, str]]
"""Names of where a result goes, and why it is kept back from some of them."""


def destinations_of(
    analysis: str,
    routing: Mapping[str, object] | None,
    configured: Mapping[str, Destination],
) -> Chosen:
    """Return where a result goes when its job is done: not where only verified ones go.

    A name that is not configured keeps its delivery: it goes when a person has configured it and
    lets it go.

    Parameters
    ----------
    analysis
        Name of the analysis.
    routing
        What the site's rules decided for the job, as the ledger keeps it; None where they did not.
    configured
        The site's destinations.
    """
    chosen = tuple(
        name
        for name in _wanted(analysis, routing, configured)
        if name not in configured or not configured[name].verified_only
    )
    return chosen, {
        name: f"no destination {name} is configured" for name in chosen if name not in configured
    }


def destinations_after_review(
    analysis: str,
    routing: Mapping[str, object] | None,
    configured: Mapping[str, Destination],
) -> tuple[str, ...]:
    """Return the names of where a verified result goes: where it is wanted only, or also.

    Parameters
    ----------
    analysis
        Name of the analysis.
    routing
        What the site's rules decided for the job that was judged; None where they did not.
    configured
        The site's destinations.
    """
    return tuple(
        name
        for name in _wanted(analysis, routing, configured)
        if name in configured and configured[name].after_review == "also"
    )


def _wanted(
    analysis: str,
    routing: Mapping[str, object] | None,
    configured: Mapping[str, Destination],
) -> tuple[str, ...]:
    """Return the destinations that the rules name, and those that every result goes to."""
    named = (routing or {}).get("destinations", ())
    wanted = [str(name) for name in named] if isinstance(named, list | tuple) else []
    wanted += [name for name, each in configured.items() if each.always]
    return tuple(
        name
        for name in dict.fromkeys(wanted)
        if name not in configured
        or not configured[name].analyses
        or analysis in configured[name].analyses
    )


def goes_there(artifacts: Sequence[Artifact], destination: Destination) -> tuple[Artifact, ...]:
    """Return the files of a result that go to a destination.

    Archives take DICOM objects only, and only they can be de-identified.
    """
    needs_dicom = destination.by in ("c-store", "stow-rs") or destination.deidentify
    return tuple(
        each
        for each in artifacts
        if (not needs_dicom or each.sop_instance_uid is not None)
        and (not destination.kinds or each.kind in destination.kinds)
    )
