"""Reading SAM's dimensions."""

import time

import pytest

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
from jobprov.provenance.selections.tokens import (
    MOST_CHARACTERS,
    MOST_LEVELS,
    MOST_RELATIONS,
    SelectionError,
)


def equal(field: str, *values: str) -> Comparison:
    return Comparison(field, Operator.EQUAL, tuple(Value(value) for value in values))


def pattern(text: str) -> Value:
    return Value(text, is_pattern=True)


RECO = equal("data_tier", "reco")
TASK = equal("task_id", "t1")
READ: list[tuple[str, Selection]] = [
    ("data_tier reco", RECO),
    ("DATA_TIER = 'reco'", RECO),
    ("data_tier in (reco)", RECO),
    ("data_tier in reco, raw", equal("data_tier", "reco", "raw")),
    ('data_tier ( reco , "raw" )', equal("data_tier", "reco", "raw")),
    ("data_tier reco or data_tier raw", equal("data_tier", "reco", "raw")),
    ("data_tier not in reco,raw", Not(equal("data_tier", "reco", "raw"))),
    ("data_tier != reco", Comparison("data_tier", Operator.UNEQUAL, (Value("reco"),))),
    ("file_name a%.root", Comparison("file_name", Operator.EQUAL, (pattern("a*.root"),))),
    ("file_name like a?", Comparison("file_name", Operator.EQUAL, (pattern("a?"),))),
    ("file_name not like a?", Not(Comparison("file_name", Operator.EQUAL, (pattern("a?"),)))),
    (
        "start_time > 02-Jul-2018",
        Comparison("start_time", Operator.GREATER, (Value("2018-07-02"),)),
    ),
    (
        "end_time 01-jan-18-31-DEC-2018",
        Comparison("end_time", Operator.EQUAL, (Between("2018-01-01", "2018-12-31"),)),
    ),
    ("file_name 02-Jul-2018", equal("file_name", "02-Jul-2018")),
    # As experiments ask, by what stands in records alone
    ("File_Type mc", equal("metadata core.file_type", "mc")),
    (
        "run_number 5141,5143-5150",
        Comparison("metadata core.runs", Operator.EQUAL, (Value("5141"), Between("5143", "5150"))),
    ),
    ("user dunepro", equal("metadata prov.submitted_by", "dunepro")),
    ("event_count 5-7", Comparison("event_count", Operator.EQUAL, (Between("5", "7"),))),
    ("event_count 5 - 7", Comparison("event_count", Operator.EQUAL, (Between("5", "7"),))),
    ("event_count '5'-'7'", Comparison("event_count", Operator.EQUAL, (Between("5", "7"),))),
    (
        "event_count 5-7,9",
        Comparison("event_count", Operator.EQUAL, (Between("5", "7"), Value("9"))),
    ),
    ("event_count >= 10", Comparison("event_count", Operator.GREATER_OR_EQUAL, (Value("10"),))),
    ("create_date 2026-01-01", equal("create_date", "2026-01-01")),
    (
        "create_date 2026-01-01-2026-02-01",
        Comparison("create_date", Operator.EQUAL, (Between("2026-01-01", "2026-02-01"),)),
    ),
    ("prov.task_id 1-2", equal("task_id", "1-2")),
    ("defname: t1", Definition("t1")),
    ("DEFNAME : 't1'", Definition("t1")),
    ("prov.task_id t1 and data_tier reco", All((TASK, RECO))),
    ("prov.task_id t1 and availability: anylocation and data_tier reco", All((TASK, RECO))),
    ("not prov.task_id t1", Not(TASK)),
    ("not not prov.task_id t1", TASK),
    ("isparentof: (data_tier reco)", Related(Relation.PARENTS, RECO)),
    (
        "isdescendantof:(ischildof: ( data_tier reco ))",
        Related(Relation.DESCENDANTS, Related(Relation.CHILDREN, RECO)),
    ),
    (
        "data_tier reco minus prov.task_id t1 union defname: x",
        Combined(SetOperator.UNION, Combined(SetOperator.MINUS, RECO, TASK), Definition("x")),
    ),
    (
        "prov.task_id t1 or file_size > 3 and data_tier reco",
        Some((TASK, All((Comparison("file_size", Operator.GREATER, (Value("3"),)), RECO)))),
    ),
    ("data_tier reco with limit 5 offset 2 stride 3", Portion(RECO, 5, 2, 3)),
    ("data_tier reco with limit 5 with offset 2", Portion(Portion(RECO, 5), None, 2)),
    ("data_tier reco with availability anylocation, physical limit 1", Portion(RECO, 1)),
    (
        "(data_tier reco with limit 5) union prov.task_id t1",
        Combined(SetOperator.UNION, Portion(RECO, 5), TASK),
    ),
]
WRONG = [
    ("", "no dimensions"),
    ("   ", "no dimensions"),
    ("data_tier", "a value of data_tier was expected, and the end stands there"),
    ("data_tier reco and", "a name such as file_name was expected"),
    ("bogus 3", "column 1: there is no dimension 'bogus'; `samweb list-files --help-dimensions`"),
    ("defname = t1", "there is no dimension 'defname'; write defname: NAME"),
    ("snapshot_id 7", "there are no snapshots here; defname: NAME selects what a task"),
    ("dataset_def_name_newest_snapshot t1", "there are no snapshots here"),
    ("data_tier raw and run_number 5141.0002", "column 19: files are selected by runs, not by su"),
    ("run_number 5141.1-5141.9", "files are selected by runs, not by subruns"),
    ("data_tier 'reco", "column 11: a quote (') begins there and does not end"),
    ("data_tier rec\u00f6", "'\u00f6' means nothing outside quotes"),
    ("(data_tier reco", "')' to close the parenthesis was expected"),
    ("data_tier reco)", "the end, or what joins two conditions"),
    ("data_tier reco prov.task_id t1", "column 16"),
    ("isparentof: data_tier reco", "'(' was expected"),
    ("isbrotherof: (data_tier reco)", "means nothing; there are defname:"),
    ("data_tier reco with limit many", "a whole number for limit"),
    ("data_tier reco with limit 99999999999999999999", "a whole number for limit"),
    ("data_tier reco\nand bogus 3", "line 2, column 5"),
    ("file_size < 3,4", "one value is compared by <"),
    ("availability: anylocation", "beside availability:"),
]


@pytest.mark.parametrize(("text", "selection"), READ)
def test_dimensions_are_read(text: str, selection: Selection) -> None:
    assert read_dimensions(text) == selection


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_wrong_dimensions_name_the_place(text: str, problem: str) -> None:
    with pytest.raises(SelectionError) as error:
        read_dimensions(text)

    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(" * 10_000 + "data_tier reco" + ")" * 10_000, f"more than {MOST_LEVELS} parentheses"),
        ("isparentof: (" * 10_000, f"more than {MOST_RELATIONS} relations"),
        ("not " * 10_000, "a name such as file_name"),
        ("file_name " + "a" * MOST_CHARACTERS, "characters"),
        ("file_name 'x" + " y" * 200_000, "does not end"),
        ("file_name " + ",".join(["a"] * 20_000), "values"),
        (" and ".join(["file_size > 3"] * 500), "conditions"),
        (" minus ".join(["file_size > 3"] * 100), "joins sets more than"),
    ],
    ids=["parentheses", "relations", "not", "long", "quote", "values", "and", "minus"],
)
def test_huge_dimensions_are_refused_at_once(text: str, problem: str) -> None:
    start = time.process_time()
    with pytest.raises(SelectionError) as error:
        read_dimensions(text)

    assert problem in str(error.value)
    assert len(str(error.value)) < 300
    assert time.process_time() - start < 5


def test_forty_levels_are_read() -> None:
    text = "(" * MOST_LEVELS + "data_tier reco" + ")" * MOST_LEVELS

    assert read_dimensions(text) == RECO
