"""Rules of triage: what fits, what is refused, and what the built-in ones say."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.triage import built_in as built_in_module
from jobprov.provenance.triage.built_in import VERSION, built_in_rules
from jobprov.provenance.triage.rules import (
    Failure,
    LogEnd,
    Rule,
    find_cause,
    find_rule,
    holds,
    log_end,
    read_rules,
)


def rule(**conditions: Any) -> dict[str, Any]:
    return {"name": "one", "class": "data", "words": "it is so", **conditions}


def table(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rules": list(rules), "who": "Ada", "why": "seen"}


def built_in(failure: Failure, *lines: str) -> tuple[str, bool | None] | None:
    found = find_rule(built_in_rules(), failure, [LogEnd("out", list(enumerate(lines)))])
    return (found.rule.class_name, found.rule.transient) if found else None


@pytest.mark.parametrize(
    ("pattern", "line", "is_there"),
    [
        ("disk full", "E: disk full now", True),
        ("open*root://", "cannot open file root://x", True),
        ("open*root://", "root://x cannot open", False),
        ("a*b*c", "acb", False),
        ("(.*)+", "aaaa", False),
    ],
)
def test_pieces_of_a_pattern_stand_one_after_the_other(
    pattern: str, line: str, *, is_there: bool
) -> None:
    assert holds(pattern, line) is is_there


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({"exit_code": [64, 65]}, True),
        ({"exit_code": [1]}, False),
        ({"step": "reco*"}, True),
        ({"step": "*stage*"}, False),
        ({"step": "reco1"}, True),
        ({"error_class": "cet*tion", "exit_code": [65]}, True),
        ({"error_class": "cet*tion", "exit_code": [66]}, False),
        ({"state": ["killed"]}, False),
        ({"signal": ["SIGKILL"]}, False),
        ({"pattern": "no such run"}, True),
    ],
)
def test_all_conditions_of_a_rule_must_hold(conditions: dict[str, Any], *, fits: bool) -> None:
    failure = Failure(
        "failed", 65, None, "reco1", "art", "cet::exception", "error: no such run in the database"
    )
    found = find_rule([msgspec.convert(rule(**conditions), Rule)], failure)

    assert (found is not None) is fits


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("BadBlock", True),
        ("DataCorruption", True),
        ("Data* > *", True),
        ("Block", False),
        ("DataCorruption > *", True),
    ],
)
def test_class_of_a_rule_fits_one_of_nested_categories_or_all(wanted: str, *, fits: bool) -> None:
    failure = Failure("failed", 1, error_class="DataCorruption > BadBlock")

    assert (
        find_rule([msgspec.convert(rule(error_class=wanted), Rule)], failure) is not None
    ) is fits


def test_last_line_with_the_pattern_counts_and_says_where_it_is() -> None:
    content = b"db down\nok\n\x1b[31mdb\x1b[0m down again\nbye\n"
    found = find_rule(
        read_rules(table(rule(pattern="db down"))).rules,
        Failure("failed"),
        [log_end("out", content, 100)],
    )

    assert found is not None
    assert (found.log, found.at) == ("out", 100 + content.index(b"\x1b[31m"))


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([rule(exit_code=[1]), rule(exit_code=[2])], "rules[1]"),
        ([rule()], "rules[0]"),
        ([rule(signal=["SIGNONE"])], "rules[0]"),
        ([rule(pattern="*a*")], "rules[0]"),
        ([rule(exit_code=["65"])], "rules[0].exit_code[0]"),
        ([rule(exit_code=[1], advise="x")], "rules[0].advise"),
        ([rule(exit_code=[1], name="built-in.art")], "rules[0]"),
    ],
)
def test_bad_rule_is_refused_with_its_place(rules: list[dict[str, Any]], field: str) -> None:
    with pytest.raises(BadInputError) as problem:
        read_rules(table(*rules))

    assert list(problem.value.fields) == [field]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([rule(exit_code=65)], "exit_code: rule {}: a list is expected, not a whole number."),
        ([rule(exit_code=["65"])], "exit_code[0]: rule {}: a whole number is expected, not text."),
        ([rule(state=["bad"])], "one of failed, killed, lost, not 'bad'."),
        ([rule(transient="yes")], "true or false is expected, not text."),
        ([rule(step=["x"])], "text is expected, not a list."),
        ([rule(name="Disk full")], "rule Disk full: not 1 to 60 small letters, digits"),
        ([rule(words="q" * 2000)], "text of at most 1000 characters is expected."),
        ([rule(tell_apart=["moon"])], "one of category, code, line,"),
        ([rule(exit_code=[1], advise="x")], "no such field here; there are name, class, words,"),
        ([{"name": "x", "exit_code": [1]}], "rules[0].class: rule x: missing; it has to be given."),
        ([{"exit_code": [1]}], "rules[0].name: missing; it has to be given."),
        ([3], "rules[0]: an object is expected, not a whole number."),
    ],
)
def test_bad_rule_is_refused_in_plain_words_with_the_way_out(
    rules: list[Any], message: str
) -> None:
    with pytest.raises(BadInputError) as problem:
        read_rules(table(*rules))

    refusal = str(problem.value)
    assert message.format(rule()["name"]) in refusal
    assert not re.search(r"array|\| null|\bstr\b|\bint\b|regex|enum|Object", refusal)


@pytest.mark.parametrize(
    ("failure", "read_as"),
    [
        (Failure("failed", 65, program="art"), ("code", None)),
        (Failure("failed", 90, program="art"), ("configuration", False)),
        (Failure("failed", 24, program="art"), ("network", True)),
        (Failure("failed", 139, program="art"), ("code", False)),
        (Failure("killed", None, 9), ("killed", True)),
        (Failure("lost"), ("lost", True)),
        (Failure("failed", 1, step="stage_in_files"), ("storage", True)),
        (Failure("failed", 1, error_class="std::bad_alloc"), ("memory", True)),
        (Failure("failed", None, 7), ("node", True)),
        (Failure("failed", 1, program="art", error_class="BadAlloc"), ("memory", True)),
        (Failure("failed", 1, program="art", error_class="CatalogServiceError"), ("network", True)),
        (
            Failure("failed", 1, program="art", error_class="DataCorruption > BadBlock"),
            ("input", False),
        ),
        (Failure("failed", 134, 6, program="art", error_class="SIGINT"), ("killed", None)),
    ],
)
def test_built_in_rules_know_art_signals_and_steps(
    failure: Failure, read_as: tuple[str, bool | None]
) -> None:
    assert built_in(failure) == read_as


def test_rules_of_an_older_version_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a next version before them, which says something else of this failure."""
    failure = Failure("failed", 1, program="art", error_class="BadAlloc")
    for number in range(2, VERSION + 1):
        name = f"built_in_{number}.toml"
        (tmp_path / name).write_text((built_in_module.FOLDER / name).read_text())
    other = '[[rules]]\nname = "other"\nclass = "node"\nwords = "x"\nerror_class = "BadAlloc"\n'
    (tmp_path / f"built_in_{VERSION + 1}.toml").write_text(other)
    monkeypatch.setattr(built_in_module, "FOLDER", tmp_path)
    built_in_rules.cache_clear()

    older, newer = (
        find_rule(built_in_rules(version), failure) for version in (VERSION, VERSION + 1)
    )

    built_in_rules.cache_clear()
    assert older is not None
    assert newer is not None
    assert (older.rule.name, newer.rule.name) == (
        "built-in.event-bad-alloc",
        "built-in.other",
    )


@pytest.mark.parametrize("code", [2, 5, 12, 13, 28, 65, 110, 111])
def test_code_of_a_payload_that_nobody_explained_is_not_read_as_errno(code: int) -> None:
    assert built_in(Failure("failed", code, program="mytool")) is None


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (Failure("failed", message="cannot find the map (Reco/reco)\nmore"), None),
        (Failure("failed", message="cannot find the map"), b"E: cannot"),
        (
            Failure("failed", message="said otherwise", error_class="Configuration"),
            b"---- Configuration B",
        ),
        (Failure("failed", message="begun"), None),
        (Failure("failed"), None),
    ],
)
def test_line_of_the_cause_is_found_where_no_rule_names_one(
    failure: Failure, line: bytes | None
) -> None:
    content = (
        b"begun\nE: cannot find the map\n\n---- Configuration BEGIN\n  x\n---- Configuration END\n"
    )

    found = find_cause(failure, [log_end("out", content, 0)])

    assert found == (None if line is None else ("out", content.index(line)))


def test_what_the_log_says_goes_before_the_code() -> None:
    assert built_in(Failure("failed", 1, program="art"), "write: No space left on device") == (
        "storage",
        True,
    )


@pytest.mark.parametrize(
    ("error_class", "code", "message", "rule"),
    [
        (
            "Configuration",
            9,
            "Unable to load requested library libx_module.so: undefined symbol: f",
            "library-not-loaded",
        ),
        (
            "Configuration",
            9,
            ('Library specification "X" does not correspond to any library in CET_PLUGIN_PATH of'
            ' type "module"; CET_PLUGIN_PATH is not set'),
            "plugin-path-unset",
        ),
        (
            "Configuration",
            9,
            'Library specification "X" does not correspond to any library in CET_PLUGIN_PATH',
            "plugin-not-found",
        ),
        ("Configuration", 9, "Unsupported parameters: pMx", "parameters-unsupported"),
        ("Configuration", 9, "something else", "configuration"),
        ("Type mismatch", 65, "FHiCL parameter 'pMax': error in float", "parameter-type"),
        ("search_path", 90, 'Can\'t find file "x.fcl"', "fcl-not-found"),
        ("SQLExecutionError", 1, "Failed to open: --timing-db /no/t.db", "timing-db"),
        ("Configuration > FileOpenError", 9, ("FailedInputSource Configuration of main input source"
         " has failed: x.root was not found"), "source-file"),
        ("exited itself", 3, "the process ended with code 3", "exited-itself"),
    ],
)  # fmt: skip
def test_advice_fits_what_art_said(error_class: str, code: int, message: str, rule: str) -> None:
    failure = Failure(
        "failed", code, program="art", error_class=error_class, message=f"{message} (construction)"
    )

    found = find_rule(built_in_rules(), failure)

    assert found is not None
    assert found.rule.name == f"built-in.{rule}"
