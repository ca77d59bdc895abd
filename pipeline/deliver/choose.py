"""Choose where the result of a job goes: as the rules decided, and where every result goes."""

from collections.abc import Mapping, Sequence

from pipeline.connections import Destination
from pipeline.study import Artifact


def destinations_of(
    analysis: str,
    routing: Mapping[str, object] | None,
    configured: Mapping[str, Destination],
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the names of where a result goes, and why it is kept back from some of them.

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
    named = (routing or {}).get("destinations", ())
    wanted = [str(name) for name in named] if isinstance(named, list | tuple) else []
    wanted += [name for name, each in configured.items() if each.always]
    chosen = tuple(
        name
        for name in dict.fromkeys(wanted)
        if name not in configured
        or not configured[name].analyses
        or analysis in configured[name].analyses
    )
    return chosen, {
        name: f"no destination {name} is configured" for name in chosen if name not in configured
    }


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
