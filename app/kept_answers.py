"""What is counted of many jobs, for pages and calls.

An answer that is kept where it counts many.
"""

from datetime import UTC, datetime
from typing import Any

from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.services.statistics.counting import COUNTINGS, KEPT_FILTERS
from jobprov.provenance.services.statistics.kept_answers import ask, follow_up, question_of
from jobprov.provenance.services.statistics.reports import Counted, report_campaign


def read_answer(kind: str, **words: Any) -> dict[str, Any]:
    """Return the answer to a question of this kind, with `counted_at` and `is_current`.

    Raises:
        ProvenanceError: whatever counting raises; LimitError where it takes too long while somebody
            waits.
    """
    return _read(kind, words, question_of(kind, words))


def read_filtered(kind: str, filters: JobFilters, **how: Any) -> dict[str, Any]:
    """Return the same of the jobs that pass the filters.

    Of a task, a host, a release or a time it is counted now.
    """
    said = {name: value for name, value in filters._asdict().items() if value is not None}
    words = {**said, **{name: value for name, value in how.items() if value is not None}}
    return _read(kind, words, None if said.keys() - KEPT_FILTERS else question_of(kind, words))


def read_report(experiment: str, campaign: str) -> dict[str, Any]:
    """Return the report of a campaign, of answers that are kept.

    Raises:
        NotFoundError: no task or job names the campaign.
        LimitError: counting takes too long while somebody waits.
    """
    filters = JobFilters(experiment=experiment, campaign=campaign)
    counted = Counted(
        read_answer("campaign", experiment=experiment, campaign=campaign),
        read_filtered("errors", filters),
        read_filtered("resources", filters),
    )
    service = get_service()
    with service.reading() as connection:
        return report_campaign(connection, service.store, counted, now=datetime.now(UTC))


def _read(kind: str, words: dict[str, Any], question: str | None) -> dict[str, Any]:
    service = get_service()
    with service.reading() as connection:
        counted = ask(connection, service.store, COUNTINGS[kind], words, question)
    if counted.needs_follow_up:
        service.write(lambda writing: follow_up(writing, counted))
    return counted.answer()
