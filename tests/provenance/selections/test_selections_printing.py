"""Selections written down as dimensions are read again as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.selections.conditions import (
    All,
    Between,
    Combined,
    Comparison,
    Definition,
    Not,
    Operator,
    Portion,
    Related,
    Relation,
    Selection,
    SetOperator,
    Some,
    Value,
)
from jobprov.provenance.selections.dimensions import read_dimensions
from jobprov.provenance.selections.printing import dimensions_of, outline_of

TEXTS = st.sampled_from(["f1.root", "and", "a b", "it's", 'say "x"', "é", "-5", "with", "1-5"])
PATTERNS = st.sampled_from(["f*", "*.root", "a b*", "f?.root"])
VALUES = st.one_of(TEXTS.map(Value), PATTERNS.map(lambda text: Value(text, is_pattern=True)))
COMPARISONS = st.one_of(
    st.builds(
        lambda values: Comparison("file_name", Operator.EQUAL, tuple(values)),
        st.lists(VALUES, min_size=1, max_size=3),
    ),
    st.builds(lambda text: Comparison("data_tier", Operator.UNEQUAL, (Value(text),)), TEXTS),
    st.just(Comparison("file_size", Operator.GREATER, (Value("7"),))),
    st.just(Comparison("event_count", Operator.EQUAL, (Between("5", "7"), Value("9")))),
    st.just(Definition("t1")),
)


def _grown(parts: st.SearchStrategy[Selection]) -> st.SearchStrategy[Selection]:
    pairs = st.lists(parts, min_size=2, max_size=3)
    return st.one_of(
        parts.map(Not),
        st.builds(Related, st.sampled_from(Relation), parts),
        pairs.map(lambda some: All(tuple(some))),
        pairs.map(lambda some: Some(tuple(some))),
        st.builds(Combined, st.sampled_from(SetOperator), parts, parts),
        st.builds(lambda part: Portion(part, limit=5, stride=2), parts),
    )


@given(st.recursive(COMPARISONS, _grown, max_leaves=6))
def test_dimensions_are_read_as_the_selection_that_they_were_written_from(
    selection: Selection,
) -> None:
    # Reading joins what is alike: chains of `and`, values of one field, two negations
    once = read_dimensions(dimensions_of(selection))

    assert read_dimensions(dimensions_of(once)) == once


@pytest.mark.parametrize(
    "text",
    [
        "data_tier reco and file_name f%",
        "data_tier reco or event_count > 5",
        "not data_tier reco",
        "not ( data_tier reco or event_count > 5 )",
        "( data_tier a or event_count > 1 ) and file_name x",
        "isparentof: ( defname: t1 ) minus data_tier raw union data_tier ana",
        "data_tier a minus ( data_tier b minus data_tier c )",
        "defname: t1 with limit 5 offset 2 stride 3",
        "( defname: t1 with limit 1 ) union file_id '1' - '5'",
        "prov.task_id 'and', 't 1', \"it's\"",
    ],
)
def test_dimensions_come_out_as_they_went_in(text: str) -> None:
    assert dimensions_of(read_dimensions(text)) == text


def test_outline_has_a_line_for_each_part() -> None:
    assert outline_of(read_dimensions("not (data_tier a or event_count > 5) with limit 2")) == [
        "with limit 2",
        "  none of",
        "    any of",
        "      data_tier a",
        "      event_count > 5",
    ]
