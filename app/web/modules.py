"""The page of art's modules: which takes the time, and which became slower from one version to the next."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response

from app.web.cuts import address, cut_rows
from app.web.formats import counted, duration, text
from app.web.frame import answer, asked, here, table
from app.web.jobs import asked_filters
from app.wiring import get_service
from provenance.services.sum_modules import LEAST_SIGMA, sum_modules

_FILTERS = ("experiment", "campaign", "stage", "task_id", "site", "host", "revision", "started_after", "started_before")
_COLUMNS = (
    "by", "group", "label", "type", "share", "seconds", "events", "seconds_per_event", "standard_error", "slowest_seconds",
    "rss_growth_bytes",
)  # fmt: skip
_CHANGES = ("slower", "faster", "new", "gone")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/modules", view_func=show_page, endpoint="modules")


def show_page() -> Response:
    """Show what the modules of the jobs that pass the filters of the address took."""
    chosen = {name: asked(name) for name in ("first", "second")}
    by = asked("by") or "version"
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    with get_service().reading() as connection:
        found = sum_modules(connection, asked_filters(), by=by, **chosen)
    if asked("format") == "csv":
        return table("modules", _COLUMNS, _flat(found["groups"], by))
    compared = found["comparison"]
    shown = next((group for group in found["groups"] if compared and group["name"] == compared["second"]), None)
    shown = shown or next(iter(found["groups"]), None)
    return answer(
        "modules.html",
        twin=address("/statistics/modules", {**filters, "by": by, **{name: value for name, value in chosen.items() if value}}),
        csv=here(format="csv"),
        filters=filters,
        by=by,
        choices=[(group["name"], group["name"]) for group in found["groups"] if group["name"]],
        first_line=first_line(found),
        compared=compared,
        changes=cut_rows("changes", compared["modules"], 12) if compared else None,
        group=shown,
        modules=cut_rows("modules", shown["modules"], 25) if shown else None,
        least_sigma=LEAST_SIGMA,
    )  # fmt: skip


def _flat(groups: list[dict[str, Any]], by: str) -> Iterator[dict[str, Any]]:
    for group in groups:
        yield from ({**module, "by": by, "group": group["name"]} for module in group["modules"])


def first_line(found: dict[str, Any]) -> str:
    """Return what changed most, or what takes the time."""
    if not found["jobs"]:
        return "No job that succeeded and passes these filters tells of art's modules."
    of = f"{counted(found['jobs'], 'job')} that succeeded"
    compared = found["comparison"]
    if not compared:
        slowest = found["groups"][0]["modules"][0]
        share = f", {slowest['share']:.0%} of the time" if slowest["share"] is not None else ""
        return f"{text(slowest['label'])} takes most: {duration(slowest['seconds'])}{share}, in {of}."
    counts = {name: sum(row["outcome"] == name for row in compared["modules"]) for name in _CHANGES}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no module slower or faster"
    slower = next((row for row in compared["modules"] if row["outcome"] == "slower"), None)
    most = f" {text(slower['label'])} became slower by {slower['change']:.0%}." if slower and slower["change"] else ""
    pair = f"from {text(compared['first'] or 'unknown')} to {text(compared['second'] or 'unknown')}"
    return f"{said[0].upper()}{said[1:]} {pair}, in {of}.{most}"
