"""The page of an analysis: samples by data tier, what is done and expected of each, and obsolete passes."""

from typing import Any

from flask import Blueprint, Response

from jobprov.app.csv_rows import CONTENT_TYPE, csv_lines
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked, here
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.tasks.samples import is_recorded, list_samples

_FACTS = ("definitions", "releases", "files", "expected_files", "events", "expected_events")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/samples/<experiment>", view_func=show_page, endpoint="samples")


def show_page(experiment: str) -> Response:
    """Show the samples of an experiment, as a page or as CSV."""
    service = get_service()
    with service.reading() as connection:
        try:
            found = list_samples(connection, service.store, experiment)
        except NotFoundError:  # the home page leads here from every experiment
            if not is_recorded(connection, experiment):
                raise
            found = {"data_tiers": [], "samples": [], "archived": []}
    if asked("format") == "csv":
        return _csv(found)
    rows = [
        {
            "sample": row["sample"],
            "cells": {cell["data_tier"]: _shown(cell) for cell in row["cells"]},
        }
        for row in found["samples"]
    ]
    return answer(
        "tasks/samples.html",
        twin=address("/samples", {"experiment": experiment})
        if found["samples"] or found["archived"]
        else None,
        experiment=experiment,
        tiers=found["data_tiers"],
        first_line=first_line(found),
        samples=cut_rows("samples", rows, 40),
        archived=cut_rows("archived", found["archived"], 20),
        csv_url=here(format="csv"),
    )


def first_line(found: dict[str, Any]) -> str:
    """Return how much of what is expected is there."""
    if not found["samples"] and not found["archived"]:
        return "No task was declared, so nothing says what is expected: jobprov declare, or jobprov register at submission."
    cells = [cell for row in found["samples"] for cell in row["cells"]]
    told = [cell for cell in cells if cell["expected_files"] is not None]
    done = sum(cell["files"] >= cell["expected_files"] for cell in told)
    of = f"{counted(len(found['samples']), 'sample')} in {counted(len(found['data_tiers']), 'data tier')}"
    if not told:
        return f"{of}; no task says how many files it expects."
    return f"{of}: {number(done)} of {counted(len(told), 'cell')} that expect files are complete."


def _shown(cell: dict[str, Any]) -> dict[str, Any]:
    expected = cell["expected_files"]
    share = min(1000, round(1000 * cell["files"] / expected)) if expected else None
    return {**cell, "share": share, "is_done": expected is not None and cell["files"] >= expected}


def _csv(found: dict[str, Any]) -> Response:
    rows = (
        {"sample": row["sample"], **{name: _word(value) for name, value in cell.items()}}
        for row in found["samples"]
        for cell in row["cells"]
    )
    return Response(csv_lines(("sample", "data_tier", *_FACTS), rows), content_type=CONTENT_TYPE)


def _word(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value
