"""Rules: what is read, what is refused, and what each condition holds for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UnusableCall
from pipeline.routing.attributes import Attributes
from pipeline.routing.route import Routing, route
from pipeline.routing.rules import NumberCondition, Rules, TextCondition, read_rules

NUMBERS = {"time_steps": 40, "slices": 3, "rows": 128, "columns": 96, "instances": 120}
PERFUSION = Attributes(
    texts={
        "source": "image",
        "modality": "MR",
        "manufacturer": "ACME Medical",
        "series_description": "Stress PERF sax",
    },
    numbers=NUMBERS,
)


def rules_of(folder: Path, text: str) -> Rules:
    path = folder / "rules.toml"
    path.write_text(text)
    return read_rules(path)


def routed(folder: Path, text: str, found: Attributes = PERFUSION) -> Routing:
    return route(found, rules_of(folder, text))


def test_every_rule_that_holds_adds_and_the_first_to_say_decides(tmp_path: Path) -> None:
    decision = routed(
        tmp_path,
        """
        [[rule]]
        name = "perfusion"
        when = { modality = "MR", time_steps = { min = 10 } }
        analyses = ["perfusion"]
        destinations = ["pacs"]
        [[rule]]
        name = "stress"
        when.series_description = ["*stress*", "*adeno*"]
        lane = "stat"
        priority = 5
        [[rule]]
        name = "all else"
        analyses = ["perfusion", "phases"]
        lane = "batch"
        destinations = ["research", "pacs"]
        """,
    )
    assert decision.analyses == ("perfusion", "phases")
    assert (decision.lane, decision.priority) == ("stat", 5)
    assert decision.destinations == ("pacs", "research")
    assert [judged.holds for judged in decision.judged] == [True, True, True]


def test_the_last_rule_that_holds_ends_the_search(tmp_path: Path) -> None:
    text = """
        [[rule]]
        name = "phantoms"
        when.series_description = "*sax*"
        last = true
        [[rule]]
        name = "all"
        analyses = ["*"]
        """
    decision = routed(tmp_path, text)
    assert decision.analyses == ()
    assert not decision.otherwise
    assert [judged.rule for judged in decision.judged] == ["phantoms"]
    other = Attributes(texts={"source": "raw"}, numbers=NUMBERS)
    assert routed(tmp_path, text, other).chooses("anything")


def test_what_no_rule_holds_for_gets_otherwise_or_nothing(tmp_path: Path) -> None:
    rule = '[[rule]]\nname = "raw"\nwhen.source = "raw"\nanalyses = ["reconstruction"]\n'
    left = routed(tmp_path, rule)
    assert left.otherwise
    assert (left.analyses, left.lane, left.priority) == ((), "routine", 0)
    taken = routed(tmp_path, rule + '[otherwise]\nanalyses = ["*"]\nlane = "batch"\n')
    assert (taken.analyses, taken.lane) == (("*",), "batch")


def test_unless_keeps_a_rule_from_holding(tmp_path: Path) -> None:
    text = """
        [[rule]]
        name = "clinic"
        when.modality = "MR"
        unless.station_name = "RESEARCH*"
        analyses = ["perfusion"]
        """
    assert routed(tmp_path, text).chooses("perfusion")
    research = Attributes(texts={**PERFUSION.texts, "station_name": "research2"}, numbers=NUMBERS)
    assert not routed(tmp_path, text, research).chooses("perfusion")


def test_an_explanation_names_conditions_and_never_a_typed_text(tmp_path: Path) -> None:
    text = """
        [[rule]]
        name = "x"
        when = { modality = "CT", series_description = "*rest*", body_part = "HEART", slices = 3 }
        """
    decision = routed(tmp_path, text)
    assert [(c.condition, c.is_met) for c in decision.judged[0].checked] == [
        ("when modality is 'CT' (MR)", False),
        ("when series_description is '*rest*'", False),
        ("when body_part is 'HEART' (not stated)", False),
        ("when slices is at least 3 and at most 3 (3)", True),
    ]
    assert "Stress" not in str(decision.to_json())
    assert "Stress" not in repr(PERFUSION)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[rules]]", "unknown key rules; known are rule, otherwise"),
        ("[rule]", "write \\[\\[rule\\]\\]"),
        ("[[rule]]\nlane = 'stat'", "rule\\[1\\].name is None"),
        ("[[rule]]\nname='a'\n[[rule]]\nname='a'", "more than one rule is named 'a'"),
        ("[[rule]]\nname='a'\nlane='fast'", "rule\\[1\\].lane is 'fast', possible is stat"),
        ("[[rule]]\nname='a'\npriority=true", "rule\\[1\\].priority is True"),
        ("[[rule]]\nname='a'\nanalyses='perfusion'", "rule\\[1\\].analyses .* list of texts"),
        ("[[rule]]\nname='a'\nanalyses=['a b']", "'a b' is no name"),
        ("[[rule]]\nname='a'\nwhen.modalty='MR'", "unknown key rule\\[1\\].when.modalty"),
        ("[[rule]]\nname='a'\nwhen.patient_id='1'", "unknown key rule\\[1\\].when.patient_id"),
        ("[[rule]]\nname='a'\nwhen.modality=[]", "when.modality is empty"),
        ("[[rule]]\nname='a'\nwhen.modality=1", "when.modality .* list of texts"),
        ("[[rule]]\nname='a'\nwhen.rows='9'", "when.rows is '9', needed is a whole number"),
        ("[[rule]]\nname='a'\nwhen.rows={low=1}", "unknown key rule\\[1\\].when.rows.low"),
        ("[[rule]]\nname='a'\nwhen.rows={min=2,max=1}", "never so"),
        ("[[rule]]\nname='a'\nlast=1", "rule\\[1\\].last is 1"),
        ("[[rule]]\nname='a'\nrun='rm'", "unknown key rule\\[1\\].run"),
        ("[otherwise]\nwhen={}", "unknown key otherwise.when"),
        ("[[rule", "not TOML"),
    ],
)
def test_what_is_not_known_is_an_error_that_names_file_and_key(
    text: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnusableCall, match=f"rules.toml: .*{reason}"):
        rules_of(tmp_path, text)


def test_an_analysis_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "[[rule]]\nname='a'\nanalyses=['perfusion', 'perfusoin']")
    with pytest.raises(UnusableCall, match=r"rules.toml: rule 'a': no analysis 'perfusoin'"):
        rules.check_analyses(["perfusion"])


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_bounds_are_included(value: int, least: int, most: int) -> None:
    found = Attributes(texts={}, numbers={"rows": value})
    condition = NumberCondition(attribute="rows", least=least, most=most)
    assert condition.holds(found) == (least <= value <= most)


@given(st.text(st.characters(codec="ascii", exclude_characters="*?[")))
def test_a_pattern_without_wildcards_is_the_value_in_any_case(value: str) -> None:
    condition = TextCondition(attribute="protocol_name", patterns=(value.upper(),))
    assert condition.holds(Attributes(texts={"protocol_name": value}, numbers={}))
    longer = Attributes(texts={"protocol_name": value + "x"}, numbers={})
    assert not condition.holds(longer)
