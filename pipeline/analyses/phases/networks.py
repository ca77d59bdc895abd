"""A phases bundle, opened and held to its contracts.

A bundle has networks for one procedure; of others it has counts, which make the filter and the
prior. The encoder and the head are apart, so that another head needs no decoding: features are
what is kept of a picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.counts import ProcedureCounts
from pipeline.analyses.phases.filter import FilterSettings, PhaseFilter
from pipeline.analyses.phases.ontology import Procedure, load_procedure
from pipeline.analyses.phases.settings import ModelSettings
from pipeline.analyses.phases.temporal import Temporal, temporal_contract
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.infer.bundle import Bundle
from pipeline.infer.session import Network, open_network
from pipeline.infer.stategraph import open_state_graph
from pipeline.infer.terms import CPU, Contract


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseNetworks:
    """All that a bundle knows of one procedure."""

    procedure: Procedure
    """Whose phases the columns are."""

    bundle_digest: str
    """Digest of the bundle."""

    encoder_digest: str
    """SHA-256 of the encoder's file: features of another encoder are other features."""

    model: ModelSettings
    """What the networks were trained with."""

    encoder: Network
    """From a picture to features."""

    head: Network | None
    """From features to logits of the phases; None for a procedure without networks."""

    temporal: Temporal | None
    """The step graph; None for a procedure without networks."""

    counts: ProcedureCounts
    """What was counted."""

    filter: PhaseFilter
    """The filter after the temporal network, or after the pictures where there is none."""

    tool_table: NDArray[np.float64] | None
    """Probabilities of the phases given the instruments in sight: shape ``(2 ** tools, phases)``,
    the first instrument the lowest bit of the row. None where it was not counted."""

    plain_filter: PhaseFilter
    """The same model on the pictures' own probabilities: a baseline, with nothing held on to."""


def open_phases(
    bundle: Bundle, procedure_name: str, *, providers: Sequence[str] = CPU
) -> PhaseNetworks:
    """Open what a phases bundle knows of a procedure.

    A picture a second keeps one core busy; the other decodes.

    Parameters
    ----------
    bundle
        A bundle whose settings hold ``procedures``.
    procedure_name
        Name of the procedure.
    providers
        Execution providers of the encoder, in order of preference.

    Raises
    ------
    BundleRejected
        If the bundle is of another kind, or knows another version of the procedure.
    UnusableCall
        If it does not know the procedure.
    ModelContractBroken
        If a network takes or gives something else than the analysis expects.
    """
    procedure = load_procedure(procedure_name)
    model = ModelSettings.from_bundle(bundle.settings)
    known = _known(bundle, procedure)
    n = len(procedure.phases)
    counts = ProcedureCounts.from_json(known.get("counts"), n)
    has_networks = known.get("networks") is True
    encoder = bundle.network("encoder")
    return PhaseNetworks(
        procedure=procedure,
        bundle_digest=bundle.digest,
        encoder_digest=encoder.sha256,
        model=model,
        encoder=open_network(encoder, _encoder_contract(model), threads=1, providers=providers),
        head=_head(bundle, model, n) if has_networks else None,
        temporal=_temporal(bundle, model, n) if has_networks else None,
        counts=counts,
        tool_table=_tool_table(known.get("tool_table"), 2 ** len(model.tools), n),
        filter=PhaseFilter(counts, FilterSettings.from_json(known.get("filter"))),
        plain_filter=PhaseFilter(counts, FilterSettings.from_json(known.get("plain_filter"))),
    )


def encode(networks: PhaseNetworks, picture: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the features of a small picture, in the precision in which they are kept.

    Parameters
    ----------
    networks
        Whose encoder is meant.
    picture
        Shape ``(side, side, 3)``.
    """
    image = np.moveaxis(picture.astype(np.float32), -1, 0)[None]
    return np.asarray(networks.encoder(image)[0], dtype=np.float16)


def _known(bundle: Bundle, procedure: Procedure) -> Mapping[str, object]:
    """Return what a bundle says of a procedure."""
    procedures = bundle.settings.get("procedures")
    if not isinstance(procedures, Mapping):
        raise BundleRejected("metadata.json: vesalius.procedures is missing")
    known = procedures.get(procedure.name)
    if not isinstance(known, Mapping):
        raise UnusableCall(
            f"{bundle.name} does not know {procedure.name}; it knows {', '.join(procedures)}"
        )
    if known.get("phases") != list(procedure.names) or known.get("version") != procedure.version:
        raise BundleRejected(
            f"metadata.json: {procedure.name} of another version than {procedure.version}"
        )
    return known


def _tool_table(values: object, n_sets: int, n_phases: int) -> NDArray[np.float64] | None:
    """Return the table of a bundle, if it has one."""
    if values is None:
        return None
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BundleRejected("metadata.json: tool_table is not of numbers") from None
    if table.shape != (n_sets, n_phases) or not (table > 0).all() or not (table <= 1).all():
        raise BundleRejected(f"metadata.json: tool_table is {table.shape}, not probabilities")
    return table


def _encoder_contract(model: ModelSettings) -> Contract:
    """Return what the encoder takes and gives: one picture, its channels from 0 to 255."""
    return Contract(
        input_name="image",
        input_shape=(1, 3, model.picture_side, model.picture_side),
        output_name="features",
        output_shape=(1, model.n_features),
    )


def _head(bundle: Bundle, model: ModelSettings, n_phases: int) -> Network:
    """Open the head."""
    contract = Contract(
        input_name="features",
        input_shape=(1, model.n_features),
        output_name="logits",
        output_shape=(1, n_phases),
    )
    return open_network(bundle.network("head"), contract, threads=1)


def _temporal(bundle: Bundle, model: ModelSettings, n_phases: int) -> Temporal:
    """Open the temporal network."""
    contract = temporal_contract(model, n_phases)
    graph = open_state_graph(bundle.network("temporal"), contract, threads=1)
    return Temporal(graph=graph, n_phases=n_phases, n_tools=len(model.tools))
