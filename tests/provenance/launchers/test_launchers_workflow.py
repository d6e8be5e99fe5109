"""Workflows as they are declared: what is read, and errors that name line and field."""

import msgspec
import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.toml_lines import line_numbers, line_of
from jobprov.provenance.launchers.workflow import read_workflow

GOOD = """\
name = "toy"
experiment = "toyexp"
campaign = "spring"
stop_after = "20%"

[[software]]
name = "release"
ref = "v1"

[[stage]]
name = "gen"
count = 20
command = ["sh", "gen.sh", "{unit}", "{output}"]
outputs = ["gen_{unit}.root"]
ships = ["gen.sh"]
memory_mib = 512

[stage.retry]
times = 3
memory_factor = 1.5

[[stage]]
name = "reco"
after = "gen"
command = [
  "art", "-c", "{configuration}",   # [not a table]
  "-s", "{input}", "-o", "{output}",
]
configuration = "reco.fcl"
outputs = ["{stem}.reco.root"]

[[stage]]
name = "merge"
after = "reco"
merge = 5
needs = ["gen"]
command = ["hadd", "{output}", "{inputs}"]
outputs = ["{unit}.root"]
"""


def test_a_workflow_is_read() -> None:
    workflow = read_workflow(GOOD)

    assert [stage.name for stage in workflow.stages] == ["gen", "reco", "merge"]
    assert workflow.shipped() == ["gen.sh", "reco.fcl"]
    assert workflow.stage("gen").retry.times == 3
    assert workflow.stage("gen").memory_bytes == 512 << 20
    assert workflow.stage("reco").retry.times == 2, "the default"
    assert workflow.task_id(4, "reco") == "toy-v4-reco"


@pytest.mark.parametrize(
    ("before", "after", "line", "field", "words"),
    [
        (
            "count = 20",
            'count = "many"',
            12,
            "stage[0].count",
            "a whole number is expected",
        ),
        ("count = 20", "count = 0", 12, "stage[0].count", "of at least 1"),
        (
            "count = 20",
            "",
            10,
            "stage[0]",
            "needs one of count, files, from and after, and has none",
        ),
        ("count = 20", 'count = 20\nafter = "x"', 10, "stage[0]", "has count and after"),
        ("times = 3", "times = 99", 19, "stage[0].retry.times", "of at most 20"),
        ("times = 3", "tmies = 3", 19, "stage[0].retry.tmies", "no such field here; there are"),
        (
            "count = 20",
            "count = 20\nfollow = true",
            13,
            "stage[0].follow",
            "only a stage that takes its files from a catalog",
        ),
        ("count = 20", "from = {}", 12, "stage[0].from", "say exactly one of definition"),
        (
            "count = 20",
            'from = { definition = "a", query = "b" }',
            12,
            "stage[0].from",
            "say exactly one of definition",
        ),
        (
            "count = 20",
            "from = { snapshot_id = 7 }\nfollow = true",
            13,
            "stage[0].follow",
            "a snapshot never grows",
        ),
        (
            "count = 20",
            'from = { defname = "a" }',
            12,
            "stage[0].from.defname",
            "no such field here; there are",
        ),
        (
            "count = 20",
            'files = ["a"]\nsplit_events = 7',
            13,
            "stage[0].split_events",
            "only a stage that reads another",
        ),
        (
            'after = "gen"',
            'after = "gne"',
            24,
            "stage[1].after",
            "no earlier stage is called gne; earlier are: gen",
        ),
        (
            'needs = ["gen"]',
            'needs = ["last"]',
            36,
            "stage[2].needs",
            "no earlier stage is called last",
        ),
        (
            '"{unit}", "{output}"',
            '"{unti}", "{output}"',
            13,
            "stage[0].command",
            "{unti} stands for nothing here",
        ),
        (
            '["{stem}.reco.root"]',
            '["reco.root"]',
            30,
            "stage[1].outputs",
            "every job would make the same file",
        ),
        ('["{unit}.root"]', '["out/{unit}.root"]', 38, "stage[2].outputs", "not paths"),
        ('"art", "-c"', '"art", "{inputs}"', 25, "stage[1].command", "{inputs} stands for nothing"),
        (
            "merge = 5",
            "merge = 5\nsplit_events = 7",
            36,
            "stage[2].split_events",
            "merges or splits",
        ),
        ('name = "reco"', 'name = "gen"', 23, "stage[1].name", "there are two stages gen"),
        ('"20%"', '"a fifth"', 4, "stop_after", "a fifth"),
        ('campaign = "spring"', "campaign = 3", 3, "campaign", "text is expected"),
        ('experiment = "toyexp"\n', "", None, "experiment", "missing; it has to be given"),
    ],
)
def test_an_error_names_line_and_field(
    before: str, after: str, line: int | None, field: str, words: str
) -> None:
    assert before in GOOD

    with pytest.raises(BadInputError) as caught:
        read_workflow(GOOD.replace(before, after, 1), "wf.toml")

    said = str(caught.value)
    assert (f"line {line}: " if line else "wf.toml: ") in said, said
    assert field in caught.value.fields, said
    assert words in said or field == "stop_after", said


def test_outputs_are_known_by_patterns_of_their_names() -> None:
    stage = read_workflow(GOOD).stages[0]
    two = msgspec.structs.replace(stage, outputs=["a[1]_{unit}.root", "{stem}{part}", "*.txt"])

    assert stage.output_patterns() == ["gen_*.root"]
    assert two.output_patterns() == ["a[[]1]_*.root", "**", "[*].txt"]


def test_what_is_no_toml_is_refused_with_its_line() -> None:
    with pytest.raises(BadInputError, match=r"wf\.toml: .*line 2"):
        read_workflow('name = "x"\nstage = = 1\n', "wf.toml")


def test_lines_are_found_below_arrays_strings_and_tables() -> None:
    text = (
        'a = """\nb = 1\n"""\nlist = [\n  1, # ]\n  2,\n]\nc = {d = 1}\n[[t]]\nx = 1\n[t.u]\n'
        'y = 2\n[[t]]\n"q" = 3\n'
    )

    lines = line_numbers(text)

    assert line_of(lines, ("c",)) == 8
    assert line_of(lines, ("c", "d")) == 8
    assert line_of(lines, ("t", 0, "u", "y")) == 12
    assert line_of(lines, ("t", 1, "q")) == 14
    assert line_of(lines, ("t", 0, "missing")) == 9
    assert line_of(lines, ("b",)) is None
