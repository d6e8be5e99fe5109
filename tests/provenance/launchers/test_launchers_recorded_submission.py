"""A job ad as the submit description that it came from; a real pool runs one in tests/grid."""

from typing import Any

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.recorded_submission import (
    Again,
    describe_again,
    missing_files,
    submission_of,
)
from jobprov.provenance.launchers.resubmitting import returned_places

AD: dict[str, Any] = {
    "JobUniverse": 5,
    "Cmd": "run.sh",
    "Arguments": "'it''s \"x\"' 7",
    "Environment": "A='b c'",
    "Iwd": "/nova/prod",
    "Out": "7.out",
    "In": "/dev/null",
    "TransferInput": "a.fcl,/x/b.root",
    "Requirements": '/Expr((TARGET.Arch == "X86_64"))/',
    "RequestMemory": 2000,
    "RemoteHost": "slot1@wn1",
}
AGAIN = Again("o1", {"JOBPROV_UNIT": "a b"})


def lines_of(again: Again = AGAIN, **ad: Any) -> dict[str, str]:
    lines = describe_again({**AD, **ad}, again)
    assert lines[-1] == "queue"
    return dict(line.split(" = ", 1) for line in lines[:-1])


def test_an_ad_becomes_the_submission_that_it_came_from() -> None:
    lines = lines_of()

    assert lines["executable"] == "/nova/prod/run.sh"
    assert lines["initialdir"] == "/nova/prod"
    assert lines["arguments"] == '"\'it\'\'s ""x""\' 7"'
    assert lines["environment"] == "\"A='b c' JOBPROV_UNIT='a b'\""
    assert lines["output"] == "7.out.o1", "not over the first attempt's"
    assert lines["transfer_input_files"] == "a.fcl,/x/b.root"
    assert lines["request_memory"] == "2000"
    assert lines["requirements"] == '((TARGET.Arch == "X86_64"))'
    assert "input" not in lines
    assert "RemoteHost" not in submission_of(AD)


def test_what_brought_no_file_home_brings_none_again() -> None:
    """Without the line, HTCondor would bring all new files."""
    ad = submission_of({**AD, "ShouldTransferFiles": "YES", "TransferOutput": "", "In": ""})

    assert "In" not in ad
    assert lines_of(**ad)["transfer_output_files"] == '""'
    assert returned_places("j1", ad) == []
    assert "transfer_output_files" not in lines_of()


def test_what_a_try_has_of_its_own_is_changed() -> None:
    again = Again("o1", {}, memory_bytes=3 << 30, avoided_sites=("BNL",))

    lines = lines_of(again, Environment="", Env="A=1;B=x y", Arguments=None, Args="old form")

    assert lines["environment"] == "\"A='1' B='x y' \""
    assert lines["arguments"] == "old form"
    assert lines["request_memory"] == "3072M"
    assert lines["requirements"].endswith('&& (GLIDEIN_Site =!= "BNL")')


@pytest.mark.parametrize(
    ("ad", "said"),
    [
        ({"Cmd": ""}, "lacks Cmd"),
        ({"JobUniverse": 7}, "universe 7"),
        ({"Environment": "T=<redacted:token>"}, "held a secret"),
        ({"Cmd": "a\nqueue 1000"}, "cannot stand in a submit file"),
    ],
)
def test_an_ad_that_lacks_something_says_what(ad: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        describe_again({**AD, **ad}, AGAIN)


def test_files_that_are_gone_are_named() -> None:
    gone = missing_files(AD, lambda path: path == "/x/b.root")

    assert gone == ["/nova/prod/run.sh", "/nova/prod/a.fcl"]


@pytest.mark.parametrize(
    ("ad", "places"),
    [
        ({}, {"*": "/nova/prod"}),
        ({"TransferOutput": "a.root,d/b"}, {"a.root": "/nova/prod/a.root", "d/b": "/nova/prod/b"}),
        (
            {"TransferOutput": "a.root,b", "TransferOutputRemaps": "a.root=/x/a; b = c"},
            {"a.root": "/x/a", "b": "/nova/prod/c"},
        ),
        ({"ShouldTransferFiles": "NO"}, {}),
        ({"Iwd": ""}, {}),
    ],
)
def test_an_ad_says_where_htcondor_brought_outputs(
    ad: dict[str, Any], places: dict[str, str]
) -> None:
    known = returned_places("j1", {**AD, **ad})

    assert {place.name: place.place for place in known} == places
