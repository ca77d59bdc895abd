"""Tell decisions as the ledger keeps them, line by line."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.routing.rules import ALL


def told_preview(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would become of inputs.

    Parameters
    ----------
    found
        What ``Preview.to_json`` returned.
    """
    for series in found["series"]:
        yield f"{series['label']}: {', '.join(series['jobs']) or 'no job'}"
        for name, reason in series["not_fitting"].items():
            yield f"  {name} does not fit: {reason}"
        for line in told_routing(series["routing"]):
            yield f"  {line}"
    for refusal in found["refused"]:
        yield f"refused: {refusal['reason']}"


def told_routing(routing: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a decision and its reasons.

    Parameters
    ----------
    routing
        What ``Routing.to_json`` returned; None yields nothing.
    """
    if routing is None:
        return
    chosen = ["all that fit" if name == ALL else name for name in routing["analyses"]]
    to = f"; to {', '.join(routing['destinations'])}" if routing["destinations"] else ""
    yield (
        f"the rules choose {', '.join(chosen) or 'nothing'}; lane {routing['lane']}, "
        f"priority {routing['priority']}{to}"
    )
    for judged in routing["rules"]:
        yield f"  rule {judged['rule']!r} {'holds' if judged['holds'] else 'does not hold'}"
        for checked in judged["conditions"]:
            yield f"    {'yes' if checked['is_met'] else 'no '} {checked['condition']}"
    if routing["otherwise"]:
        yield "  no rule holds: what stands under otherwise, if anything"
