"""Documents that the visible probes do not cover, with the reference's answers, in memory.

The documents of `tests/data/fhicl_reference.jsonl` are random: mixed tokens, numbers, prologs with
references, protection and erasure, tables by their id, texts cut into includes. The answers came
from the reference's own grammar, tables and printers (fhicl-cpp 4.19, cetlib), built apart from
this project; 650,000 such documents were compared, and these are kept.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.fhicl import Configuration, FhiclError, FoundFile, load_from, loads

DATA = Path(__file__).parents[2] / "data" / "fhicl_reference.jsonl"
CASES = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
KINDS = sorted({case["kind"] for case in CASES})


class Shelf:
    """Files by name; every include is found on the search path."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = {name: text.encode("latin-1") for name, text in files.items()}

    def first(self, name: str) -> FoundFile | None:
        return FoundFile(name, name, self._files[name])

    def included(self, name: str) -> FoundFile | None:
        return FoundFile(name, name, self._files[name], 0) if name in self._files else None


def forms(configuration: Configuration) -> dict[str, str]:
    return {
        "expanded": configuration.expanded.decode("latin-1"),
        "to_string": configuration.to_string(),
        "compact": configuration.to_compact_string(),
        "indented": configuration.to_indented_string(),
        "annotated": configuration.to_annotated_string(),
        "prefix_annotated": configuration.to_prefix_annotated_string(),
    }


def read(case: dict[str, Any]) -> dict[str, Any]:
    try:
        found = load_from(
            Shelf(case["files"]), next(name for name in case["files"] if name in ("m", "main"))
        )
    except FhiclError:
        return {"kind": case["kind"], "files": case["files"], "ok": False}
    return {"kind": case["kind"], "files": case["files"], "ok": True, **forms(found)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_is_the_references(kind: str) -> None:
    for case in CASES:
        if case["kind"] == kind:
            assert read(case) == case


def test_kept_cases_hold_good_and_bad_documents() -> None:
    assert 50 < sum(case["ok"] for case in CASES) < len(CASES) - 50


def test_table_that_an_id_stands_for_keeps_the_places_of_the_one_registered_first() -> None:
    """`a` names the id of what `d` and `e` hold.

    An `@id::` registers nothing, so the first is that in `d`.
    """
    identity = loads("x: {y: 1}\n").parameter_set_id

    printed = loads(
        f"a: [@id::{identity}]\nd: {{x: {{y: 1}}}}\ne: {{x: {{y: 1}}}}\n", name="m"
    ).to_annotated_string()

    assert printed.startswith("a: [  # m:1\n   {  # m:1\n      x: {  # m:2\n")


def test_error_is_made_of_kind_message_file_line_and_column() -> None:
    error = FhiclError("syntax", "what is wrong", "a.fcl", 3, 7)

    assert (error.kind, error.message, error.file, error.line, error.column) == (
        "syntax",
        "what is wrong",
        "a.fcl",
        3,
        7,
    )
    assert str(error) == "a.fcl:3:7: what is wrong"
