"""Why jobs did not succeed, for the page and the call: an answer that is kept where it counts many jobs."""

from typing import Any

from app.wiring import get_service
from provenance.db.queries.jobs import JobFilters
from provenance.services.keep_errors import answer_errors, follow_up


def read_errors(filters: JobFilters, *, by: str | None = None, sort: str = "count") -> dict[str, Any]:
    """Return what `count_errors` does, with `counted_at` and `is_current`.

    Raises:
        BadInputError: a facet or order that is none.
        LimitError: counting takes too long while somebody waits.
    """
    service = get_service()
    with service.reading() as connection:
        counted = answer_errors(connection, filters, by=by, sort=sort)
    if counted.needs_follow_up:
        service.write(lambda connection, known: follow_up(connection, known, counted))
    return counted.answer()
