"""Reading MetaCat's query language."""

import time

import pytest

from jobprov.provenance.selections.conditions import (
    All,
    Between,
    Combined,
    Comparison,
    Definition,
    Everything,
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
from jobprov.provenance.selections.mql import Did, read_dataset_query, read_mql
from jobprov.provenance.selections.tokens import SelectionError


def equal(field: str, *values: str) -> Comparison:
    return Comparison(field, Operator.EQUAL, tuple(Value(value) for value in values))


def matching(field: str, pattern: str) -> Comparison:
    return Comparison(field, Operator.EQUAL, (Value(pattern, is_pattern=True),))


RECO = equal("data_tier", "reco")
HOME = equal("namespace", "nova", "")
TASK = Definition("t1")
A_FILE = All((equal("file_name", "a.root"), HOME))
READ: list[tuple[str, Selection]] = [
    ("files", Everything()),
    ("files from nova:t1", TASK),
    ("FILES FROM t1", TASK),
    ("files from datasets nova:t1", TASK),
    ("files from raw:t1", All((TASK, equal("namespace", "raw")))),
    ("files from nova:t1, nova:t2", Some((TASK, Definition("t2")))),
    ("files from nova:c with subsets recursively", Definition("c")),
    ("file nova:a.root", A_FILE),
    ("file a.root", A_FILE),
    ("files nova:a.root, nova:b.root", All((equal("file_name", "a.root", "b.root"), HOME))),
    ("fids 4,7", equal("file_id", "4", "7")),
    ("files where core.data_tier = 'reco'", All((Everything(), RECO))),
    ("files where core.data_tier == reco", All((Everything(), RECO))),
    (
        'files from nova:t1 where size > 5 and core.data_tier = "reco"',
        All((TASK, Comparison("file_size", Operator.GREATER, (Value("5"),)), RECO)),
    ),
    (
        "files from nova:t1 where size in 2:4",
        All((TASK, Comparison("file_size", Operator.EQUAL, (Between("2", "4"),)))),
    ),
    (
        "files from nova:t1 where core.data_tier in (reco, raw)",
        All((TASK, equal("data_tier", "reco", "raw"))),
    ),
    ("files from nova:t1 where core.data_tier not in (reco)", All((TASK, Not(RECO)))),
    ("files from nova:t1 where !(core.data_tier = reco)", All((TASK, Not(RECO)))),
    (
        "files from nova:t1 where core.data_tier != reco",
        All((TASK, Comparison("data_tier", Operator.UNEQUAL, (Value("reco"),)))),
    ),
    (
        "files from nova:t1 where prov.task_id present",
        All((TASK, Comparison("task_id", Operator.IS_THERE))),
    ),
    (
        "files from nova:t1 where prov.task_id not present",
        All((TASK, Not(Comparison("task_id", Operator.IS_THERE)))),
    ),
    ("files where name ~ '^a.*\\.root$'", All((Everything(), matching("file_name", "a*.root")))),
    ("files where name ~ 'a.b'", All((Everything(), matching("file_name", "*a?b*")))),
    (
        "files where created_timestamp >= date('2026-01-01')",
        All(
            (
                Everything(),
                Comparison("create_date", Operator.GREATER_OR_EQUAL, (Value("2026-01-01"),)),
            )
        ),
    ),
    ("files where namespace = nova", All((Everything(), HOME))),
    ("parents(file nova:a.root)", Related(Relation.PARENTS, A_FILE)),
    ("children ( files from nova:t1 )", Related(Relation.CHILDREN, TASK)),
    (
        "files from nova:t1 - children(files from nova:t1) - file a.root",
        Combined(
            SetOperator.MINUS,
            Combined(SetOperator.MINUS, TASK, Related(Relation.CHILDREN, TASK)),
            A_FILE,
        ),
    ),
    ("union(file a.root, files from t1)", Combined(SetOperator.UNION, A_FILE, TASK)),
    ("[file a.root, files from t1]", Combined(SetOperator.UNION, A_FILE, TASK)),
    ("join(files from t1, file a.root)", Combined(SetOperator.INTERSECT, TASK, A_FILE)),
    ("{files from t1, fid 4}", Combined(SetOperator.INTERSECT, TASK, equal("file_id", "4"))),
    (
        "files where DUNE.campaign = 'fd 1'",
        All((Everything(), equal("metadata DUNE.campaign", "fd 1"))),
    ),
    # As DUNE's operations ask, with members of a dictionary
    (
        """files where dune.workflow['workflow_id'] in (1581, 1582)""",
        All((Everything(), equal('metadata dune.workflow["workflow_id"]', "1581", "1582"))),
    ),
    ("files where core.runs[0] = 3", All((Everything(), equal("metadata core.runs[0]", "3")))),
    (
        "files where creator = dunepro",
        All((Everything(), equal("metadata prov.submitted_by", "dunepro"))),
    ),
    ("(files from t1) ordered skip 5 limit 2", Portion(Portion(TASK, None, 5), 2)),
    (
        "files from t1 where core.data_tier = reco limit 3",
        Portion(All((TASK, RECO)), 3),
    ),
]
WRONG = [
    ("", "files, parents(, children("),
    ("files from", "a name, as namespace:name"),
    ("files where requestid = 4711", "files cannot be selected by 'requestid'"),
    ("files from 'x", "column 12: a quote (') begins there and does not end"),
    ("files where name ~ '^(a|b)'", "only ^, $, . and .*"),
    ("files where name ~* 'a'", "'~*' is not an operator"),
    ("files where core.runs[all] = 3", "column 23: of a list [any] or one member, [0], is"),
    ("files where core.data_tier[0] = raw", "column 28: of a list [any] or one member, [0], is"),
    ("files where DUNE.x['a\"b'] = 3", 'of a dictionary one member, ["key"]'),
    ("files where DUNE.x[" + "9" * 5000 + "] = 3", "of a list [any] or one member"),
    ("files where 3 in name", "'name' is not a list"),
    ("filter f()(files)", "was expected, and 'filter' stands there"),
    ("files selected by nova:q", "no named queries"),
    ("parents(files from nova:t1", "')' to close the parenthesis"),
    ("files from nova:t1 files", "the end"),
    ("files where size in 3", "':' between the ends of the range"),
    ("files from nova:t1 limit x", "a whole number for limit"),
]


@pytest.mark.parametrize(("text", "selection"), READ)
def test_queries_are_read(text: str, selection: Selection) -> None:
    assert read_mql(text, home="nova") == selection


def test_names_without_a_namespace_are_in_the_one_that_is_given() -> None:
    assert read_mql("file a.root", home="nova", namespace="raw") == All(
        (equal("file_name", "a.root"), equal("namespace", "raw"))
    )


def test_queries_for_datasets_name_them() -> None:
    assert read_dataset_query("datasets nova:t1, t2", home="nova") == [
        Did("nova", "t1"),
        Did("nova", "t2"),
    ]
    assert read_dataset_query("datasets matching nova:t%", home="nova") == [Did("nova", "t%")]
    assert read_dataset_query("files from nova:t1", home="nova") is None


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_wrong_queries_name_the_place(text: str, problem: str) -> None:
    with pytest.raises(SelectionError) as error:
        read_mql(text, home="nova")

    assert problem in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "files" + ")" * 10_000,
        "parents(" * 10_000,
        "files where " + "(" * 10_000,
        "files where " + "!" * 100_000,
        "files where name = '" + "x" * 1_000_000,
        "files " + ",".join(["a:b"] * 20_000),
        "union(" + ",".join(["file a"] * 500) + ")",
        "files" + " where size > 3" * 1000,
    ],
    ids=["parentheses", "parents", "condition", "not", "long", "names", "union", "where"],
)
def test_huge_queries_are_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(SelectionError) as error:
        read_mql(text, home="nova")

    assert len(str(error.value)) < 300
    assert time.process_time() - start < 5
