"""Hostile input ends in an error that names the limit, soon and in little memory.

Never in a RecursionError or a hang.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobprov.provenance import fhicl

TEN_MEGABYTES = 10 << 20
SECONDS = 60  # on a loaded machine; alone each takes well under 4


@pytest.fixture(autouse=True)
def watch() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS


def message_of(read: Callable[[], object], kind: str = "limit") -> str:
    with pytest.raises(fhicl.FhiclError) as caught:
        read()
    assert caught.value.kind == kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        pytest.param("a: " + "[" * TEN_MEGABYTES, "nesting", id="10 MB of ["),
        pytest.param(
            "a: " + "{a:" * 100_000 + "1" + "}" * 100_000, "nesting", id="table 100,000 deep"
        ),
        pytest.param("a" + ".a" * 100_000 + ": 1", "nesting", id="name of 100,000 parts"),
        pytest.param("a: 1\n" + "a: {x: @local::a}\n" * 3000, "nesting", id="deep by references"),
        pytest.param("a: " + "1" * TEN_MEGABYTES, "number_length", id="10 MB of one number"),
        pytest.param(
            "a: 0x" + "f" * TEN_MEGABYTES, "number_length", id="10 MB of one hexadecimal number"
        ),
        pytest.param(
            "a: [1,1]\n" + "a: [@local::a, @local::a]\n" * 64,
            "written_bytes",
            id="doubled 64 times",
        ),
        pytest.param(
            "a: [1,1]\n" + "a: [@local::a, @local::a]\n" * 19,
            "written_bytes",
            id="500 bytes for 40 s of indexing",
        ),
        pytest.param(
            "a: [" + "1, " * 999 + "1]\n" + "".join(f"b{n}: @local::a\n" for n in range(600)),
            "written_values",
            id="a flat table of 600,000 values",
        ),
        pytest.param(
            'a: "'
            + "x" * 3500
            + '"\nb: [@local::a, @local::a]\n'
            + "b: [@local::b, @local::b]\n" * 12,
            "written_bytes",
            id="4 kB for gigabytes",
        ),
        pytest.param(
            "a: {b: 1}\n"
            + "a: {x: @local::a}\n" * 900
            + "c: [@local::a]\n"
            + "c: [@local::c, @local::c]\n" * 9,
            "written_bytes",
            id="deep and doubled",
        ),
        pytest.param(
            "a: [1]\n" + "a: [@sequence::a, @sequence::a]\n" * 64,
            "work",
            id="spliced into itself 64 times",
            marks=pytest.mark.slow,
        ),
        pytest.param("a[4294967295]: 1", "work", id="huge index"),
        pytest.param("a[99999999999999999999999]: 1", "work", id="index beyond 64 bits"),
    ],
)
def test_text_past_a_limit_names_it(source: str, limit: str) -> None:
    assert f"({limit})" in message_of(lambda: fhicl.loads(source))


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("\0" * TEN_MEGABYTES, id="10 MB of NUL"),
        pytest.param('a: "' + "\\" * TEN_MEGABYTES + '"', id="10 MB of backslashes"),
        pytest.param("a: '" + "x" * TEN_MEGABYTES, id="string without end"),
        pytest.param("a" * TEN_MEGABYTES + "! 1", id="name of 10 MB"),
        pytest.param("a: [" + "," * TEN_MEGABYTES, id="10 MB of commas"),
        pytest.param("a: " + "@local::a" * (TEN_MEGABYTES // 9), id="10 MB of @local::a"),
    ],
)
def test_senseless_text_is_refused_soon(source: str) -> None:
    message_of(lambda: fhicl.loads(source), "syntax")


def test_deepest_allowed_nesting_is_read_and_printed_on_a_nearly_full_stack() -> None:
    depth = 1000
    configuration = fhicl.loads(
        "b: 1 a: " + "{a: [" * (depth // 2 - 1) + "@local::b" + "]}" * (depth // 2 - 1)
    )

    def deepen(levels: int) -> list[str]:
        if levels:
            return deepen(levels - 1)
        return [
            configuration.to_indented_string(),
            configuration.to_annotated_string(),
            configuration.to_compact_string(),
            str(configuration.as_tree().keys()),
        ]

    printed = deepen(sys.getrecursionlimit() - _frames() - 60)

    assert all(printed)


def _frames() -> int:
    frame, count = sys._getframe(), 0
    while frame.f_back:
        frame, count = frame.f_back, count + 1
    return count


def test_longest_canonical_form_is_limited() -> None:
    limits = fhicl.Limits(canonical_bytes=100)

    assert "(canonical_bytes)" in message_of(
        lambda: fhicl.loads("a: '" + "x" * 99 + "'", limits=limits)
    )


@pytest.mark.slow
def test_long_blanks_and_comments_are_skipped() -> None:
    assert (
        fhicl.loads(
            "#\n" * (TEN_MEGABYTES // 2) + "a: 1 #" + "\0" * 1000 + "\n" + "\r" * 100_000
        ).to_string()
        == "a:1"
    )


@pytest.mark.slow
def test_include_bomb_of_2_to_the_40_lines_is_stopped(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"b{level}.fcl").write_text(f'#include "b{level + 1}.fcl"\n' * 2)
    (tmp_path / "b40.fcl").write_text("x: 1\n")

    assert "(inclusions)" in message_of(lambda: fhicl.load(tmp_path / "b0.fcl", [tmp_path]))


def test_expansion_past_its_limit_is_stopped_without_making_the_text(tmp_path: Path) -> None:
    (tmp_path / "big.fcl").write_text("# " + "x" * 1_000_000 + "\n")
    (tmp_path / "main.fcl").write_text('#include "big.fcl"\n' * 1000)

    assert "(expanded_bytes)" in message_of(lambda: fhicl.load(tmp_path / "main.fcl", [tmp_path]))


def test_chain_of_includes_is_limited(tmp_path: Path) -> None:
    for level in range(300):
        (tmp_path / f"c{level}.fcl").write_text(f'#include "c{level + 1}.fcl"\n')

    assert "(include_depth)" in message_of(lambda: fhicl.load(tmp_path / "c0.fcl", [tmp_path]))


def test_cycle_under_ever_new_names_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fcl").write_text('#include "./a.fcl"\n')

    assert "includes itself" in message_of(lambda: fhicl.load("a.fcl", ["."]), "include_recursive")


@pytest.mark.parametrize(
    "source", ["a: @local::" + "x" * TEN_MEGABYTES, '#include "' + "x" * TEN_MEGABYTES + '"\n']
)
def test_a_message_is_short_however_long_the_name_in_it(source: str) -> None:
    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.loads(source, ["/tmp"])  # noqa: S108 - not written to

    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["zero", "random", "full"])
def test_device_is_not_read(name: str) -> None:
    assert "no regular file" in message_of(lambda: fhicl.load(f"/dev/{name}", []), "unreadable")
    assert "no regular file" in message_of(
        lambda: fhicl.loads(f'#include "{name}"\n', ["/dev"]), "unreadable"
    )


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fcl")

    assert "no regular file" in message_of(
        lambda: fhicl.load(tmp_path / "pipe.fcl", []), "unreadable"
    )


def test_file_past_its_limit_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "sparse.fcl").open("wb") as stream:
        stream.truncate(1 << 36)

    assert "(file_bytes)" in message_of(lambda: fhicl.load(tmp_path / "sparse.fcl", []))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "a/" * 3000, "\xff\xfe"])
def test_impossible_names_are_just_not_found(name: str) -> None:
    message_of(
        lambda: fhicl.loads(f'#include "{name}"\n'.encode("latin-1"), ["/tmp"]),  # noqa: S108
        "include_not_found",
    )
