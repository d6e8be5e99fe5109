"""Failures of large campaigns: the answer is kept, told to be old where it is, and counted again in the background."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from production_samples import Production, job
from sqlalchemy import Connection, select, update

from provenance.db.queries.error_counts import read_counts
from provenance.db.queries.jobs import JobFilters
from provenance.db.tables import ErrorCountsRow, WorkItem
from provenance.db.writer import Writer
from provenance.errors import LimitError
from provenance.services import keep_errors as keeping
from provenance.services.background import HANDLERS
from provenance.services.count_errors import count_errors
from provenance.services.keep_errors import CountedErrors, answer_errors, follow_up
from provenance.services.work import Parts, drain

CAMPAIGN = JobFilters(experiment="nova", campaign="prod")
QUESTION = '{"campaign":"prod","experiment":"nova","sort":"count"}'


@pytest.fixture
def campaign(production: Production, monkeypatch: pytest.MonkeyPatch) -> Production:
    """Six jobs of a campaign, two of which failed; so many are many here."""
    monkeypatch.setattr(keeping, "MOST_COUNTED_AT_ONCE", 3)
    production.record(
        *(job(number, state="failed" if number < 3 else "succeeded", task=task()) for number in range(1, 7))
    )
    return production


@pytest.fixture
def parts(campaign: Production, tmp_path: Path) -> Iterator[Parts]:
    writer = Writer(campaign.database.writing)
    yield Parts(campaign.database, writer, campaign.store, tmp_path)
    writer.close()


def task() -> dict[str, str]:
    return {"task_id": "t1", "campaign": "prod", "stage": "reco"}


def ask(production: Production, filters: JobFilters = CAMPAIGN, **how: Any) -> CountedErrors:
    """Return the answer, after what is to follow was done."""
    with production.database.reading.connect() as connection:
        counted = answer_errors(connection, filters, **how)
    if counted.needs_follow_up:
        production.write(lambda connection: follow_up(connection, production.known, counted))
    return counted


def waiting(connection: Connection) -> list[tuple[str, datetime]]:
    query = select(WorkItem.key, WorkItem.due_at).where(WorkItem.kind == keeping.COUNT_ERRORS)
    return [(row[0], row[1]) for row in connection.execute(query)]


def test_the_answer_about_many_jobs_is_kept_as_it_was_counted(campaign: Production) -> None:
    counted = ask(campaign).answer()
    again = ask(campaign)

    assert (counted["jobs"], counted["failures"], counted["is_current"]) == (6, 2, True)
    assert again.answer() == counted
    assert not again.needs_follow_up
    with campaign.database.reading.connect() as connection:
        assert read_counts(connection, QUESTION) is not None
        assert counted["causes"] == count_errors(connection, CAMPAIGN)["causes"]


@pytest.mark.parametrize(
    "filters",
    [
        CAMPAIGN._replace(task_id="t1"),
        CAMPAIGN._replace(started_after=datetime(2020, 1, 1, tzinfo=UTC)),
        CAMPAIGN._replace(stage="none"),  # no job: few
        CAMPAIGN._replace(stage="s" * 200),
    ],
)
def test_other_answers_are_not_kept(campaign: Production, filters: JobFilters) -> None:
    assert ask(campaign, filters).answer()["is_current"]

    with campaign.database.reading.connect() as connection:
        assert connection.execute(select(ErrorCountsRow.question)).all() == []


def test_a_kept_answer_is_told_to_be_old_and_counted_again_after_a_pause(campaign: Production, parts: Parts) -> None:
    kept = ask(campaign).answer()
    campaign.record(job(7, state="failed", task=task()))

    stale = ask(campaign)

    assert stale.answer() == {**kept, "is_current": False}
    with campaign.database.reading.connect() as connection:
        ((question, due),) = waiting(connection)
    assert question == QUESTION
    assert due - datetime.fromisoformat(kept["counted_at"]) >= timedelta(seconds=10)

    HANDLERS[keeping.COUNT_ERRORS](parts, question)
    fresh = ask(campaign).answer()
    assert (fresh["jobs"], fresh["failures"], fresh["is_current"]) == (7, 3, True)


def test_an_answer_of_the_same_ledger_is_counted_again_once_it_is_old(campaign: Production) -> None:
    """Classes of failures are read in the background, which the ledger does not tell."""
    ask(campaign)
    before = datetime.now(UTC) - timedelta(hours=1)
    campaign.write(lambda connection: connection.execute(update(ErrorCountsRow).values(counted_at=before)))

    old = ask(campaign)

    assert old.answer()["is_current"]
    assert old.needs_follow_up
    with campaign.database.reading.connect() as connection:
        assert [key for key, _ in waiting(connection)] == [QUESTION]


def test_facets_and_orders_are_kept_apart(campaign: Production) -> None:
    by_stage, newest = ask(campaign, by="stage").answer(), ask(campaign, sort="newest").answer()

    assert [cause["by"] for cause in by_stage["causes"]] == ["reco"]
    assert [cause["by"] for cause in newest["causes"]] == [None]
    assert ask(campaign, by="stage").answer() == by_stage


def test_what_nobody_asked_for_in_a_week_is_forgotten(campaign: Production) -> None:
    ask(campaign)
    before = datetime.now(UTC) - timedelta(days=8)
    campaign.write(lambda connection: connection.execute(update(ErrorCountsRow).values(counted_at=before)))

    ask(campaign, by="stage")

    with campaign.database.reading.connect() as connection:
        assert read_counts(connection, QUESTION) is None


def test_what_takes_too_long_is_counted_in_the_background(
    campaign: Production, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = keeping.count_errors

    def slow(*arguments: Any, **how: Any) -> dict[str, Any]:
        if how.get("seconds", 5) <= 5:
            raise LimitError("The answer took more than 5 s.", 5)
        return counting(*arguments, **how)

    monkeypatch.setattr(keeping, "count_errors", slow)

    with pytest.raises(LimitError, match="ask again in a minute"):
        ask(campaign).answer()
    with pytest.raises(LimitError, match="more than 5 s"):
        ask(campaign, CAMPAIGN._replace(task_id="t1"))

    assert drain(parts, HANDLERS) >= 1
    assert ask(campaign).answer()["failures"] == 2
