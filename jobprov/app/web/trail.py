"""The page of the audit trail, for those who administer an experiment."""

from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.guard import check_admin
from jobprov.app.web.frame.page import answer, answer_rows, asked, first_page, next_page, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.trail import ACTS, Trail
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.services.ledger.trail import show_trail

_ROWS = 100


class TrailPage(NamedTuple):
    """What the page shows."""

    trail: Trail
    first_line: str
    kind: str
    kinds: list[tuple[str, str]]
    twin: str
    first_page: str | None
    next_page: str | None


@pages.get("/trail", endpoint="trail")
def show_page() -> Response:
    """Show what was done in an experiment, newest first."""
    experiment = asked("experiment")
    administered = check_admin(experiment)
    if not experiment:
        return _ask_whose(administered)
    return answer_rows("trail/trail.html", _ROWS, lambda rows: _page(experiment, rows))


def _ask_whose(administered: list[str] | None) -> Response:
    """Show the experiments whose trail can be read; None stands for all."""
    if administered is None:
        with get_service().reading() as connection:
            administered = experiment_names(connection)
    trails = [(name, address("/trail", {"experiment": name})) for name in administered]
    return answer("trail/experiments.html", trails=cut_rows("trails", trails, _ROWS))


def _page(experiment: str, rows: int) -> TrailPage:
    """Return the contents of the page with so many rows."""
    kind, cursor, service = asked("kind"), asked("cursor"), get_service()
    with service.reading() as connection:
        trail = show_trail(
            connection, service.store, experiment, kind=kind, limit=rows, cursor=cursor
        )
    question = {"experiment": experiment, "kind": kind}
    kinds = [("all", address("/trail", {"experiment": experiment}))]
    for name in ACTS:
        kinds.append((name, address("/trail", {"experiment": experiment, "kind": name})))
    return TrailPage(
        trail=trail,
        first_line=_first_line(trail, is_first=cursor is None),
        kind=kind or "all",
        kinds=kinds,
        twin=address("/trail", {**question, "limit": str(rows), "cursor": cursor}),
        first_page=first_page(),
        next_page=next_page(trail.next),
    )


def _first_line(trail: Trail, *, is_first: bool) -> str:
    """Return how much was done, and by whom last."""
    if not trail.acts:
        return f"Nothing was changed in {trail.experiment}."
    shown = counted(len(trail.acts), "act")
    if trail.next or not is_first:
        return f"{shown} of more, newest first."
    return f"{shown}, newest first."
