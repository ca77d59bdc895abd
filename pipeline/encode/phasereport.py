"""The phases of an operation as an Enhanced SR: each segment with its range of time in the video.

No template of the standard holds phases of an operation: the tree is our own, and claims none. An
observed segment is inferred from a range of times (TCOORD) that is selected from the instance that
holds it, in seconds from the start of that instance. What was expected stands in containers of its
own, each with the moment at which it was expected: a prediction is never written as an observation.

References
----------
.. [A352] DICOM PS3.3, A.35.2 Enhanced SR IOD, C.18.7 Temporal Coordinates Macro.
.. [T4019] DICOM PS3.16, TID 4019 Algorithm Identification: its names and codes.
"""

from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    EnhancedSR,
    ImageContentItem,
    NumContentItem,
    PnameContentItem,
    RelationshipTypeValues,
    TcoordContentItem,
    TemporalRangeTypeValues,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.analyses.phases.anticipation import N_NEXT, AnticipatedSegment, Anticipation
from pipeline.analyses.phases.ontology import CODING_SCHEME, END, Procedure
from pipeline.analyses.phases.result import PhasesResult, Segment
from pipeline.encode.codes import private_scheme
from pipeline.encode.context import MAKER, EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.encode.verified import issued_anew, name_predecessor, verify
from pipeline.study import VideoInstance, VideoSeries

ROLE = "phases_report"

PROCEDURE_NOTE = CodedConcept("28570-0", "LN", "Procedure note")
PROCEDURE_PHASE = CodedConcept("128954007", "SCT", "Procedure phase")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
ALGORITHM_NAME = CodedConcept("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = CodedConcept("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = CodedConcept("111002", "DCM", "Algorithm Parameters")
OBSERVER_TYPE = CodedConcept("121005", "DCM", "Observer Type")
DEVICE = CodedConcept("121007", "DCM", "Device")
PERSON = CodedConcept("121006", "DCM", "Person")
PERSON_NAME = CodedConcept("121008", "DCM", "Person Observer Name")
DEVICE_UID = CodedConcept("121012", "DCM", "Device Observer UID")
DEVICE_NAME = CodedConcept("121013", "DCM", "Device Observer Name")
SOURCE = CodedConcept("121112", "DCM", "Source of Measurement")
PROCEDURE_REPORTED = CodedConcept("121058", "DCM", "Procedure reported")

OBSERVED = CodedConcept("OBSERVED", CODING_SCHEME, "Observed course")
EXPECTED = CodedConcept("EXPECTED", CODING_SCHEME, "Expected course")
ISSUED_AT = CodedConcept("ISSUED-AT", CODING_SCHEME, "Expected as of")
STARTS_IN = CodedConcept("STARTS-IN", CODING_SCHEME, "Expected to start in")
LASTS = CodedConcept("LASTS", CODING_SCHEME, "Expected duration")
HORIZON = CodedConcept("HORIZON", CODING_SCHEME, "Segments looked ahead")
REMAINING = CodedConcept("REMAINING", CODING_SCHEME, "Expected time to end of operation")
EXPECTED_BY = CodedConcept("EXPECTED-BY", CODING_SCHEME, "Expected by")
UNCERTAINTY = CodedConcept("UNCERTAINTY", CODING_SCHEME, "Uncertainty")
END_OF_OPERATION = CodedConcept("END", CODING_SCHEME, "End of operation")

SECONDS = CodedConcept("s", "UCUM", "second")
PERCENT = CodedConcept("%", "UCUM", "Percent")
SEGMENTS = CodedConcept("{segments}", "UCUM", "segments")
RATIO = CodedConcept("1", "UCUM", "no units")

CONTAINS = RelationshipTypeValues.CONTAINS
HAS_PROPERTIES = RelationshipTypeValues.HAS_PROPERTIES
HAS_CONTEXT = RelationshipTypeValues.HAS_OBS_CONTEXT
INFERRED_FROM = RelationshipTypeValues.INFERRED_FROM
SELECTED_FROM = RelationshipTypeValues.SELECTED_FROM


def phases_report(
    result: PhasesResult, series: VideoSeries, header: Dataset, context: EncodingContext
) -> EnhancedSR:
    """Return the phases as a DICOM object [A352]_.

    Parameters
    ----------
    result
        What was found.
    series
        The video, from DICOM.
    header
        What patient and study come from.
    context
        What it is made under.
    """
    root = ContainerContentItem(name=PROCEDURE_NOTE)
    root.ContentSequence = ContentSequence(
        [
            *_observer(context),
            CodeContentItem(
                PROCEDURE_REPORTED,
                CodedConcept(
                    result.procedure.name[:16].upper(), CODING_SCHEME, result.procedure.title
                ),
                HAS_CONTEXT,
            ),
            _container(
                OBSERVED,
                [*_algorithm(context), *_observed(result, series, result.segments)],
            ),
            *(_expected(result.procedure, a) for a in _anticipations(result)),
        ],
        is_root=False,
    )
    instance = EnhancedSR(
        evidence=_evidence(series.instances, header),
        content=root,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Vesalius phases",
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    settle(instance, ROLE, header, context)
    return instance


def corrected_report(
    before: Dataset,
    result: PhasesResult,
    series: VideoSeries,
    of_the_network: Collection[Segment],
    context: EncodingContext,
) -> Dataset:
    """Return a report whose observed course a person has corrected, verified.

    What was expected stays: it says what was expected then, whatever came.

    Parameters
    ----------
    before
        The report as the analysis made it.
    result
        The corrected course.
    series
        The video, from DICOM.
    of_the_network
        Segments that the person has left as they were.
    context
        What it is made under: the author, and who has verified it.
    """
    document = issued_anew(before, ROLE, context)
    name_predecessor(document, before)
    for item in document.ContentSequence:
        if _is(item, OBSERVED):
            kept = [each for each in item.ContentSequence if not _is(each, PROCEDURE_PHASE)]
            item.ContentSequence = [*kept, *_observed(result, series, of_the_network)]
    if context.author is not None:
        person = [
            CodeContentItem(OBSERVER_TYPE, PERSON, HAS_CONTEXT),
            PnameContentItem(PERSON_NAME, context.author, HAS_CONTEXT),
        ]
        document.ContentSequence = [*person, *document.ContentSequence]
    verify(document, context.verifiers)
    return document


def _is(item: Dataset, name: CodedConcept) -> bool:
    """Tell whether a content item has a name."""
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(names[0].get("CodeValue", "")) == name.value


def _observer(context: EncodingContext) -> Iterator[ContentItem]:
    """Yield who observed: this software."""
    yield CodeContentItem(OBSERVER_TYPE, DEVICE, HAS_CONTEXT)
    yield UIDRefContentItem(DEVICE_UID, context.device_uid, HAS_CONTEXT)
    yield TextContentItem(DEVICE_NAME, MAKER, HAS_CONTEXT)


def _algorithm(context: EncodingContext) -> Iterator[ContentItem]:
    """Yield what the phases were recognised by [T4019]_."""
    yield TextContentItem(ALGORITHM_NAME, context.bundle_name, CONTAINS)
    yield TextContentItem(ALGORITHM_VERSION, context.bundle_version, CONTAINS)
    parameters = f"bundle SHA-256 {context.bundle_digest}"
    yield TextContentItem(ALGORITHM_PARAMETERS, parameters, CONTAINS)


def _observed(
    result: PhasesResult, series: VideoSeries, of_the_network: Collection[Segment]
) -> Iterator[ContentItem]:
    """Yield each segment; one that lies in several instances has a range in each.

    What a person has set has no certainty of the network.
    """
    for segment in result.segments:
        code = _code(result.procedure, segment.phase)
        item = CodeContentItem(PROCEDURE_PHASE, code, CONTAINS)
        said = _certainty(segment) if segment in of_the_network else ()
        item.ContentSequence = ContentSequence([*_ranges(segment, series.instances), *said])
        yield item


def _certainty(segment: Segment) -> Iterator[ContentItem]:
    """Yield how sure the network is of a segment."""
    certainty, uncertainty = round(100 * segment.confidence, 2), round(segment.uncertainty, 4)
    yield NumContentItem(CERTAINTY, certainty, PERCENT, None, HAS_PROPERTIES)
    yield NumContentItem(UNCERTAINTY, uncertainty, RATIO, None, HAS_PROPERTIES)


def _ranges(segment: Segment, instances: Sequence[VideoInstance]) -> Iterator[ContentItem]:
    """Yield a segment's range of time in each instance that it lies in."""
    following = [*(i.start_seconds for i in instances[1:]), float("inf")]
    for instance, next_start in zip(instances, following, strict=True):
        start = max(segment.start_seconds, instance.start_seconds)
        stop = min(segment.end_seconds, next_start)
        if stop <= start:
            continue
        # A pause between instances lies in neither. A container that ends before a picture of its
        # own says no end.
        if instance.end_seconds is not None and start < instance.end_seconds:
            stop = min(stop, instance.end_seconds)
        item = TcoordContentItem(
            PROCEDURE_PHASE,
            TemporalRangeTypeValues.SEGMENT,
            referenced_time_offsets=[
                round(start - instance.start_seconds, 3),
                round(stop - instance.start_seconds, 3),
            ],
            relationship_type=INFERRED_FROM,
        )
        image = ImageContentItem(
            SOURCE,
            instance.sop_class_uid,
            instance.sop_instance_uid,
            relationship_type=SELECTED_FROM,
        )
        item.ContentSequence = ContentSequence([image])
        yield item


def _anticipations(result: PhasesResult) -> Iterator[Anticipation]:
    """Yield what was expected when each segment began."""
    for segment in result.segments:
        yield result.anticipation_at(segment.start_seconds)


def _expected(procedure: Procedure, found: Anticipation) -> ContainerContentItem:
    """Return what was expected at one moment."""
    children: list[ContentItem] = [
        _number(ISSUED_AT, found.issued_at_seconds, CONTAINS),
        NumContentItem(HORIZON, N_NEXT, SEGMENTS, None, CONTAINS),
    ]
    if found.remaining_learned_seconds is not None:
        children.append(_number(REMAINING, found.remaining_learned_seconds, CONTAINS, "network"))
    children.append(_number(REMAINING, found.remaining_prior_seconds, CONTAINS, "counts"))
    for maker, segments in (("network", found.learned), ("counts", found.prior)):
        children += [_expected_segment(procedure, s, maker) for s in segments]
    return _container(EXPECTED, children)


def _expected_segment(
    procedure: Procedure, segment: AnticipatedSegment, maker: str
) -> CodeContentItem:
    """Return one expected segment."""
    item = CodeContentItem(PROCEDURE_PHASE, _code(procedure, segment.phase), CONTAINS)
    properties = [
        TextContentItem(EXPECTED_BY, maker, HAS_PROPERTIES),
        _number(STARTS_IN, segment.start_in_seconds, HAS_PROPERTIES),
        NumContentItem(
            CERTAINTY, round(100 * segment.probability, 2), PERCENT, None, HAS_PROPERTIES
        ),
    ]
    if segment.duration_seconds is not None:
        properties.append(_number(LASTS, segment.duration_seconds, HAS_PROPERTIES))
    item.ContentSequence = ContentSequence(properties)
    return item


def _number(
    name: CodedConcept, seconds: float, relationship: RelationshipTypeValues, maker: str = ""
) -> NumContentItem:
    """Return a time [s], with who expected it if that is said."""
    item = NumContentItem(name, round(seconds, 1), SECONDS, None, relationship)
    if maker:
        item.ContentSequence = ContentSequence(
            [TextContentItem(EXPECTED_BY, maker, HAS_PROPERTIES)]
        )
    return item


def _container(name: CodedConcept, children: Sequence[ContentItem]) -> ContainerContentItem:
    """Return a container of the report."""
    item = ContainerContentItem(name, relationship_type=CONTAINS)
    item.ContentSequence = ContentSequence(children)
    return item


def _code(procedure: Procedure, name: str) -> CodedConcept:
    """Return the code of a phase, or of the operation's end."""
    if name == END:
        return END_OF_OPERATION
    phase = procedure.phase(name)
    return CodedConcept(phase.code, CODING_SCHEME, phase.meaning)


def _evidence(instances: Sequence[VideoInstance], header: Dataset) -> list[Dataset]:
    """Return the instances of the video, as the report lists them."""
    found = []
    for instance in instances:
        stand_in = deepcopy(header)
        stand_in.SOPClassUID = instance.sop_class_uid
        stand_in.SOPInstanceUID = instance.sop_instance_uid
        stand_in.SeriesInstanceUID = instance.series_instance_uid
        found.append(stand_in)
    return found
