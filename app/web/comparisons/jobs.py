"""The page of two jobs: what is not the same, what decides the outcome first.

And the page that asks which other job.
"""

import re
from typing import Any

from flask import Blueprint, Response

from jobprov.app.web.frame import formats
from jobprov.app.web.frame.cuts import Cut, address, asked_section, cut_rows
from jobprov.app.web.frame.page import answer, asked, experiment_asked, here
from jobprov.app.wiring import get_service
from jobprov.provenance.services.comparisons.companions import find_companions
from jobprov.provenance.services.comparisons.jobs import compare_jobs
from jobprov.provenance.services.comparisons.sentences import narrowed, readable

_DIGEST = re.compile(r"((?:[\w-]+:)?[0-9a-f]{12})[0-9a-f]{28}(?:[0-9a-f]{24})?")
_MOST_DIFFERENCES = 10_000
_ROWS = {"recipe": 40, "result": 25, "circumstance": 15}
_LINES = 40
_WIDTH = 110
_FORMATS = {
    "_bytes": formats.size,
    "_bytes_max": formats.size,
    "_seconds": formats.duration,
    "seconds_total": formats.duration,
}
_STATE_WORDS = {
    "changed": "differs",
    "added": "only in the second",
    "removed": "only in the first",
    "renamed": "renamed",
}


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/jobs/<job_id>/diff", view_func=ask_page, endpoint="ask_diff")
    blueprint.add_url_rule("/jobs/<before>/diff/<after>", view_func=show_page, endpoint="diff")


def ask_page(job_id: str) -> Response:
    """Ask with which job to compare, and offer some; an answer leads to the comparison."""
    experiment = experiment_asked()
    if other := asked("with"):
        target = address(f"/jobs/{job_id}/diff/{other.strip()}", {"experiment": experiment or ""})
        return Response(status=303, headers={"Location": target})
    with get_service().reading() as connection:
        found = find_companions(connection, job_id, experiment=experiment)
    twin = address(f"/jobs/{found['job']['job_id']}/diff", {"experiment": experiment or ""})
    return answer(
        "comparisons/compare.html",
        twin=twin,
        summary=found["job"],
        companions=found["companions"],
        experiment=experiment,
    )


def show_page(before: str, after: str) -> Response:
    """Show two jobs side by side."""
    experiment = experiment_asked()
    service = get_service()
    with service.reading() as connection:
        found = compare_jobs(
            connection, service.store, before, after, experiment=experiment, limit=_MOST_DIFFERENCES
        )
    names = found["a"]["job_id"], found["b"]["job_id"]
    words = {"experiment": experiment or ""}
    chosen, wanted = asked("facet"), asked("q")
    return answer(
        "comparisons/diff.html",
        twin=address(f"/jobs/{names[0]}/diff/{names[1]}", words),
        a=found["a"],
        b=found["b"],
        first_line=found["first_line"],
        swapped=address(
            f"/jobs/{names[1]}/diff/{names[0]}", {**words, "facet": chosen or "", "q": wanted or ""}
        ),
        other=address(f"/jobs/{names[0]}/diff", words),
        diverge=_divergence(found["a"], found["b"]),
        facets=[_shown(facet, wanted) for facet in found["facets"] if _is_wanted(facet, chosen)],
        choices=_choices(found["facets"], chosen),
        same=[facet["title"] for facet in found["facets"] if _is_same(facet)],
        silent=[facet["title"] for facet in found["facets"] if not facet["said"]],
        chosen=chosen,
        wanted=wanted,
        whole=asked_section(),
    )


def _divergence(a: dict[str, Any], b: dict[str, Any]) -> str | None:
    """Return where the histories of what two jobs made part.

    None where they made nothing, or the same.
    """
    whose = {"experiment_a": a["experiment"], "experiment_b": b["experiment"]}
    if a["experiment"] == b["experiment"]:
        whose = {"experiment": a["experiment"]}
    if (
        a["output"] is None
        or b["output"] is None
        or (a["output"] == b["output"] and len(whose) == 1)
    ):
        return None
    return address("/diverge", {"a": a["output"], "b": b["output"], **whose})


def _is_same(facet: dict[str, Any]) -> bool:
    return bool(facet["said"]) and not facet["count"] and not facet["problems"]


def _is_wanted(facet: dict[str, Any], chosen: str | None) -> bool:
    if not facet["count"] and not facet["problems"]:
        return False
    name: str = facet["name"]
    return name == (asked_section() or chosen or name)


def _choices(
    facets: list[dict[str, Any]], chosen: str | None
) -> list[tuple[str, int | None, str, bool]]:
    """Return (title, differences, address, whether shown) of all facets that differ, "Everything" first."""
    every = [("Everything", None, here(facet=None, whole=None, **{"from": None}), chosen is None)]
    return every + [
        (
            facet["title"],
            facet["count"],
            here(facet=facet["name"], whole=None, **{"from": None}),
            chosen == facet["name"],
        )
        for facet in facets
        if facet["count"] or facet["problems"]
    ]


def _shown(facet: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    rows = [row for row in facet["differences"] if wanted is None or _holds(row, wanted.lower())]
    cut = cut_rows(facet["name"], rows, _ROWS[facet["matters"]])
    return {
        **facet,
        "cut": Cut(cut.name, rows, cut.most, cut.first),
        "is_open": facet["matters"] != "circumstance"
        or asked("facet") == facet["name"]
        or cut.is_whole_asked
        or bool(wanted),
        "shown": shown_row,
    }


def _holds(row: dict[str, Any], wanted: str) -> bool:
    texts = (
        row["key"],
        row.get("key_before"),
        row.get("before"),
        row.get("after"),
        row.get("part"),
    )
    return any(wanted in str(text).lower() for text in texts if text is not None)


def shown_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a difference as its row says it: both values cut around the place where they part."""
    values = [_value(row["key"], row.get(side)) for side in ("before", "after")]
    if all(values):
        values = list(narrowed(values[0], values[1], _WIDTH))
    lines = row.get("lines", [])
    return {
        **row,
        "word": _STATE_WORDS[row["kind"]],
        "values": values,
        "shown_lines": [(line[:1], line) for line in lines[:_LINES]],
        "left_lines": max(0, len(lines) - _LINES) + row.get("lines_omitted", 0),
    }


def _value(key: str, value: Any) -> str:
    if value is None:
        return ""
    for ending, shown in _FORMATS.items():
        if key.endswith(ending):
            return shown(value)
    found = formats.text(value)
    digest = _DIGEST.fullmatch(found)
    return digest[1] if digest else readable(found)
