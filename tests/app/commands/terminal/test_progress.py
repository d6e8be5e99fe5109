"""How far long work is: on a terminal, in a log, and for programs."""

import io
import json
from collections.abc import Iterator

import pytest

from jobprov.app.commands.terminal.progress import Bar, Display, JsonLines, Lines, Pacer
from jobprov.provenance.progress import Progress, tell, watched, watching


class Clock:
    """Stands still but for what a test lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(display: Display, seconds: float) -> None:
    """Do four pieces of work, each of which takes so long."""
    clock = Clock()
    with watching(Pacer(display, clock)):
        for _ in watched("blobs copied", range(4), lambda: 4):
            clock.now += seconds


def test_quick_work_prints_nothing() -> None:
    for kind in (Bar, Lines, JsonLines):
        out = io.StringIO()
        run(kind(out), 0.01)
        assert out.getvalue() == "", kind


def test_log_has_plain_lines_with_what_is_left() -> None:
    out = io.StringIO()

    run(Lines(out), 20)

    assert out.getvalue().splitlines() == [
        "blobs copied: 2 of 4, 40 s left",
        "blobs copied: 4 of 4, 0 s left",
    ]


def test_program_reads_an_object_a_line() -> None:
    out = io.StringIO()

    run(JsonLines(out), 15)

    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told[0] == {"progress": "blobs copied", "done": 2, "total": 4, "seconds_left": 30}
    assert [row["done"] for row in told] == [2, 3, 4]


def test_terminal_shows_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = io.StringIO()
    bar = Bar(out)

    run(bar, 10)
    bar.show(Progress("a" * 100, 1, 2), None)
    bar.end()

    text = out.getvalue()
    assert "\n" not in text
    assert "[############............] blobs copied: 2 of 4, 20 s left" in text
    assert max(map(len, text.split("\r"))) < 60
    assert text.endswith("\r")
    assert text.split("\r")[-2].strip() == ""


def test_what_nobody_watches_is_passed_on_as_it_is() -> None:
    def total() -> int:
        raise AssertionError

    items = [1, 2]

    assert watched("things", items, total) is items
    tell("things", 1)


def test_watcher_hears_of_each_piece_and_of_the_end_of_watching() -> None:
    heard: list[Progress] = []

    def pieces() -> Iterator[int]:
        yield from (7, 8)

    with watching(heard.append):
        assert list(watched("things", pieces())) == [7, 8]
        tell("resting")
    tell("later")

    assert heard == [
        Progress("things", 0, None),
        Progress("things", 1, None),
        Progress("things", 2, None),
        Progress("resting", 0, None),
    ]
