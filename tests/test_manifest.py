"""Whatever numbers come out, the manifest is JSON."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.manifest import finite, finite_object, serialised

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@settings(derandomize=True, deadline=None)
@given(document=st.dictionaries(st.text(), values))
def test_any_values_become_strict_json_and_come_back(document: dict[str, object]) -> None:
    clean = finite_object(document)
    assert json.loads(serialised(clean), parse_constant=refuse) == clean


@settings(derandomize=True, deadline=None)
@given(value=st.floats())
def test_a_number_stays_itself_or_becomes_null(value: float) -> None:
    assert finite([value]) == [value if math.isfinite(value) else None]


def test_a_file_name_that_is_no_text_can_be_written() -> None:
    name = b"caf\xe9.dcm".decode("utf-8", "surrogateescape")
    assert json.loads(serialised({"label": name}).encode())["label"] == name
