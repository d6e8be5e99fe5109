"""Tests that tables fit the terminal, and are whole everywhere else."""

import os
import pty
import subprocess
import sys
from operator import itemgetter

import pytest

from jobprov.app.commands.terminal.tables import fitted, table

UUID = "2d1f7d5c-93ee-4c0c-9d5f-8b1c0b8e1f10"
FILE = "toyexp_demo-2026_0001_merge_dimuon.root"
ADVICE = "The disk of the worker node was full; free it, or ask for more with request_disk."
TITLES = ["JOB", "FILE", "ADVICE"]
LINES = [TITLES, [UUID, FILE, ADVICE], [UUID, FILE, "–"]]  # noqa: RUF001 - missing is an en dash


def fit(lines: list[list[str]], room: int, fixed: tuple[int, ...] = ()) -> list[str]:
    """Return the lines of a table in so much room."""
    return fitted(lines, room, [place in fixed for place in range(len(lines[0]))]).splitlines()


def test_a_table_that_fits_stays_as_it_is() -> None:
    lines = fit([["A", "B"], ["1", FILE]], 80)

    assert lines == ["A  B", f"1  {FILE}"]


def test_titles_without_rows_stand_alone_however_narrow_it_is() -> None:
    assert fit([TITLES], 10) == ["JOB  FILE  ADVICE"]


@pytest.mark.parametrize("room", [40, 70, 80, 100, 120, 159])
def test_no_line_is_wider_than_the_terminal(room: int) -> None:
    *rows, note = fit(LINES, room)

    assert max(len(line) for line in rows if FILE not in line) <= room
    if "…" in "".join(rows):
        assert f"fit {room} columns" in note
        assert "--json" in note


def test_a_sentence_is_broken_and_not_cut() -> None:
    lines = fit([["FILE", "ADVICE"], [FILE, ADVICE]], 100)

    assert " ".join(line[len(FILE) :].strip() for line in lines[1:]) == ADVICE
    assert all("…" not in line for line in lines)


def test_a_name_keeps_both_ends_and_an_id_its_beginning() -> None:
    row = fit(LINES, 80)[1]

    job_id, file, _ = row.split(maxsplit=2)
    assert job_id == f"{UUID[:8]}…"
    beginning, end = file.split("…")
    assert FILE.startswith(beginning)
    assert FILE.endswith(end)
    assert end


def test_a_name_in_a_sentence_keeps_both_ends_and_is_not_broken() -> None:
    task = "toyexp-demo-2026-histogram-0001"
    _titles, first, second, note = fit([["WHAT", "N"], [f"task {task}", "1"]], 30)

    assert first.split() == ["task", "1"]
    beginning, end = second.strip().split("…")
    assert task.startswith(beginning)
    assert task.endswith(end)
    assert "--json" in note


def test_a_drawing_is_never_cut() -> None:
    drawing = "-" * 40
    lines = fit([["UNIT", "WHEN"], [FILE, drawing]], 60, fixed=(1,))

    assert lines[1].endswith(f"  {drawing}")


def test_where_columns_would_be_too_narrow_each_row_is_a_block() -> None:
    lines = fit(LINES, 36)

    assert lines[:2] == [f"JOB     {UUID}", f"FILE    {FILE}"]
    assert " ".join(line[8:] for line in lines[2 : lines.index("")]) == ADVICE
    assert lines.count("") == 1  # between two rows


def test_output_that_is_no_terminal_gets_the_whole_table() -> None:
    assert run_table(terminal=False, columns=60) == f"FILE{' ' * 96}WHERE\n{'n' * 98}  there"


def test_a_terminal_of_60_columns_gets_60_columns() -> None:
    title, row, _note = run_table(terminal=True, columns=60).splitlines()

    assert title.split() == ["FILE", "WHERE"]
    assert len(row) <= 60
    assert row.endswith("there")


def test_a_text_for_elsewhere_is_whole_in_a_terminal() -> None:
    text = run_table(terminal=True, columns=60, options=", is_whole=True")

    assert "n" * 98 in text


def test_missing_cells_are_an_en_dash() -> None:
    text = table([(None, "")], {"A": itemgetter(0), "B": itemgetter(1)})

    assert text == "A  B\n–  –"  # noqa: RUF001 - missing is an en dash


def run_table(*, terminal: bool, columns: int, options: str = "") -> str:
    """Return what a program prints that prints a table, into a terminal or a pipe."""
    program = (
        "from jobprov.app.commands.terminal.tables import cell_table\n"
        "rows = [(98 * 'n', 'there')]\n"
        f"print(cell_table(('FILE', 'WHERE'), rows{options}))"
    )
    words = [sys.executable, "-c", program]
    environment = {**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"}
    if not terminal:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.removesuffix("\n")
    main, terminal_end = pty.openpty()
    try:
        subprocess.run(words, env=environment, stdout=terminal_end, check=True)
        return os.read(main, 10_000).decode().replace("\r\n", "\n").removesuffix("\n")
    finally:
        os.close(terminal_end)
        os.close(main)
