"""What makes two failures one cause, and what makes them two."""

from typing import Any

import msgspec
import pytest

from jobprov.provenance.triage.causes import Cause, name_cause, pattern_of
from jobprov.provenance.triage.rules import Failure, Rule

HIT = "hit 17 has a negative charge (ToyFail/badmod, run 4711 subRun 3 event 7)"


def cause(
    message: str,
    category: str | None = "Configuration",
    *,
    code: int = 9,
    rule: dict[str, Any] | None = None,
    **details: str,
) -> Cause:
    failure = Failure("failed", code, step="art", error_class=category, message=message)
    fits = None
    if rule is not None:
        fits = msgspec.convert({"name": "r", "class": "c", "words": "w", **rule}, Rule)
    return name_cause(failure, "configuration", fits, details)


def test_four_configuration_errors_are_four_causes() -> None:
    causes = [
        cause("Unsupported parameters: maxEvnts [ ./a.fcl:2 ] (EmptyEvent/source, construction)"),
        cause("Missing parameters: pMin: <double> (ToyCut/softcut, construction)"),
        cause("Missing parameters: pMin: <double> (ToyCut/hardcut, construction)"),
        cause(
            'Library specification "ToyCal" does not correspond to any library (services)',
            plugin="ToyCal",
        ),
        cause(
            'Library specification "ToyGeo" does not correspond to any library (services)',
            plugin="ToyGeo",
        ),
    ]

    assert len({one.key for one in causes}) == 5
    assert [one.words for one in causes] == [
        "source: Unsupported parameters: maxEvnts",
        "softcut: Missing parameters: pMin: <double>",
        "hardcut: Missing parameters: pMin: <double>",
        'ToyCal: Library specification "…" does not correspond to any library',
        'ToyGeo: Library specification "…" does not correspond to any library',
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HIT, HIT.replace("17", "4242").replace("event 7", "event 9")),
        ("cannot open /data/a.root", "cannot open /data/b/c.root"),
        ("Input file root://x//a.root was not found", "Input file root://y//b.root was not found"),
        ("no run 'r12' in database", "no run 'r99' in database"),
        ("bad block at 0x7ffe12", "bad block at 0x1"),
        ("took 1.5e-3 s", "took 20 s"),
    ],
)
def test_numbers_and_names_do_not_tell_causes_apart(one: str, other: str) -> None:
    assert cause(one, "BadHit", code=1) == cause(other, "BadHit", code=65)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"message": HIT}, {"message": HIT.replace("badmod", "othermod")}),
        ({"message": HIT}, {"message": HIT, "category": "BadTrack"}),
        ({"message": HIT}, {"message": HIT.replace("negative", "missing")}),
        (
            {"message": "no products", "product": "std::vector<a::Hit> of gem"},
            {"message": "no products", "product": "std::vector<a::Hit> of gen"},
        ),
        (
            {"message": 'Can\'t find file "a.fcl" (parse)', "category": "search_path"},
            {"message": 'Can\'t find file "b.fcl" (parse)', "category": "search_path"},
        ),
        (
            {"message": "", "category": None, "code": 3},
            {"message": "", "category": None, "code": 4},
        ),
    ],
)
def test_what_a_person_would_call_another_cause_is_one(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert cause(**one).key != cause(**other).key


def test_rule_merges_what_it_fits_and_splits_it() -> None:
    down = {"cause": "calibration server"}
    merged = {cause(HIT, rule=down), cause("no answer", "DbError", code=3, rule=down)}
    by_module = {"cause": "calibration server", "tell_apart": ["module"]}
    split = {cause(HIT, rule=by_module).words, cause(HIT, "X", rule=by_module).words}
    whole = [cause(f"no run {run}", rule={"tell_apart": ["line"]}) for run in (1, 2)]

    assert {one.words for one in merged} == {"calibration server"}
    assert len({one.key for one in merged}) == 1
    assert split == {"calibration server: badmod"}
    assert [one.words for one in whole] == ["no run 1", "no run 2"]
    assert whole[0].key != whole[1].key
    assert len({cause(text, rule={"tell_apart": []}).key for text in (HIT, "other")}) == 1


def test_pattern_of_a_long_message_is_bounded() -> None:
    assert len(pattern_of("a'b" * 100_000)) <= 300
    assert len(pattern_of("/" * 100_000)) <= 300
    assert pattern_of("ToyFit2D v09_10: 3 hits") == "ToyFit2D v09_10: N hits"


def test_a_crash_of_no_module_is_told_apart_by_where_it_was() -> None:
    crash = "ended by SIGSEGV ({})"
    made = cause(crash.format("construction"), "SIGSEGV", phase="construction")
    ran = cause(crash.format("event loop"), "SIGSEGV", phase="event loop")
    killed = cause("ended by SIGKILL (event loop)", "SIGKILL", phase="event loop")

    assert made.key != ran.key
    assert [made.words, ran.words, killed.words] == [
        "construction: ended by SIGSEGV",
        "event loop: ended by SIGSEGV",
        "ended by SIGKILL",
    ]
