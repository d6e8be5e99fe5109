"""Answers about many jobs, failures for one.

The answer is kept, told to be old where it is, and counted again in the background.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, update

from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.db.queries.kept_answers import read_answer
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import KeptAnswerRow, WorkItem
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.failures.errors import count_errors
from jobprov.provenance.services.kept_answers import counting, kept_answers
from jobprov.provenance.services.kept_answers.kept_answers import (
    Asked,
    CountedAnswer,
    follow_up,
    question_of,
)
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer
from tests.library.production import Production
from tests.library.records import a_record

CAMPAIGN = JobFilters(experiment="nova", campaign="prod")
QUESTION = '{"campaign":"prod","experiment":"nova","kind":"errors"}'


@pytest.fixture
def campaign(production: Production, monkeypatch: pytest.MonkeyPatch) -> Production:
    """Six jobs of a campaign, two of which failed; so many are many here."""
    monkeypatch.setattr(kept_answers, "MOST_COUNTED_AT_ONCE", 3)
    monkeypatch.setattr(counting, "MOST_COUNTED_AT_ONCE", 3)
    of_campaigns = counting.CAMPAIGNS._replace(most=3)
    monkeypatch.setitem(counting.COUNTINGS, "campaigns", of_campaigns)
    production.record(
        *(
            a_record(number, state="failed" if number < 3 else "succeeded", task=task())
            for number in range(1, 7)
        )
    )
    return production


@pytest.fixture
def parts(campaign: Production, tmp_path: Path) -> Iterator[Parts]:
    writer = Writer(campaign.database, campaign.store)
    yield Parts(campaign.database, writer, campaign.store, tmp_path)
    writer.close()


def task() -> dict[str, str]:
    return {"task_id": "t1", "campaign": "prod", "stage": "reco"}


def ask(
    production: Production, filters: JobFilters = CAMPAIGN, **how: Any
) -> CountedAnswer[ErrorCounts]:
    """Return the answer, after what is to follow was done."""
    with production.database.reading.connect() as connection:
        said = {name: value for name, value in filters._asdict().items() if value is not None}
        question = (
            None if said.keys() - counting.KEPT_FILTERS else question_of("errors", {**said, **how})
        )
        words = {**said, **how}
        counted = kept_answers.ask(
            connection, production.store, counting.COUNTINGS["errors"], words, question
        )
    if counted.needs_follow_up:
        production.write(lambda writing: follow_up(writing, counted))
    return counted


def members(answer: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(answer))


def body(answer: Any) -> dict[str, Any]:
    """Return an answer without the moment when it was counted."""
    return {
        name: value
        for name, value in members(answer).items()
        if name not in {"counted_at", "is_current"}
    }


def waiting(connection: Connection) -> list[tuple[str, datetime]]:
    query = select(WorkItem.key, WorkItem.due_at).where(WorkItem.kind == kept_answers.COUNT)
    return [(row[0], row[1]) for row in connection.execute(query)]


def test_the_answer_about_many_jobs_is_kept_as_it_was_counted(campaign: Production) -> None:
    counted = ask(campaign).answer()
    again = ask(campaign)

    assert (counted.jobs, counted.failures, counted.is_current) == (6, 2, True)
    assert again.answer() == counted
    assert not again.needs_follow_up
    with campaign.database.reading.connect() as connection:
        assert read_answer(connection, QUESTION) is not None
        assert counted.causes == count_errors(connection, CAMPAIGN).causes


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
    assert ask(campaign, filters).answer().is_current

    with campaign.database.reading.connect() as connection:
        assert connection.execute(select(KeptAnswerRow.question)).all() == []


def test_a_kept_answer_is_told_to_be_old_and_counted_again_after_a_pause(
    campaign: Production, parts: Parts
) -> None:
    kept = ask(campaign).answer()
    campaign.record(a_record(7, state="failed", task=task()))

    stale = ask(campaign)

    assert stale.answer() == msgspec.structs.replace(kept, is_current=False)
    with campaign.database.reading.connect() as connection:
        ((question, due),) = waiting(connection)
    assert question == QUESTION
    assert due - datetime.fromisoformat(kept.counted_at) >= timedelta(seconds=10)

    HANDLERS[kept_answers.COUNT](parts, question)
    fresh = ask(campaign).answer()
    assert (fresh.jobs, fresh.failures, fresh.is_current) == (7, 3, True)


def test_an_answer_of_the_same_ledger_is_counted_again_once_it_is_old(campaign: Production) -> None:
    """Classes of failures are read in the background, which the ledger does not tell."""
    ask(campaign)
    before = datetime.now(UTC) - timedelta(hours=1)
    campaign.write(
        lambda writing: writing.connection.execute(update(KeptAnswerRow).values(counted_at=before))
    )

    old = ask(campaign)

    assert old.answer().is_current
    assert old.needs_follow_up
    with campaign.database.reading.connect() as connection:
        assert [key for key, _ in waiting(connection)] == [QUESTION]


@pytest.mark.slow
def test_facets_and_orders_are_kept_apart(campaign: Production) -> None:
    by_stage, newest = ask(campaign, by="stage").answer(), ask(campaign, sort="newest").answer()

    assert [cause.by for cause in by_stage.causes] == ["reco"]
    assert [cause.by for cause in newest.causes] == [None]
    assert ask(campaign, by="stage").answer() == by_stage


def test_what_nobody_asked_for_in_a_week_is_forgotten(campaign: Production) -> None:
    ask(campaign)
    before = datetime.now(UTC) - timedelta(days=8)
    campaign.write(
        lambda writing: writing.connection.execute(update(KeptAnswerRow).values(counted_at=before))
    )

    ask(campaign, by="stage")

    with campaign.database.reading.connect() as connection:
        assert read_answer(connection, QUESTION) is None


def test_what_takes_too_long_is_counted_in_the_background(
    campaign: Production, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = counting.count_errors

    waited: list[str | None] = []

    def slow(*arguments: Any, **how: Any) -> ErrorCounts:
        if how.get("seconds", 5) <= 5:
            waited.append(arguments[1].task_id)
            raise LimitError("The answer took more than 5 s.", 5)
        return count(*arguments, **how)

    monkeypatch.setattr(counting, "count_errors", slow)

    for _ in range(3):
        with pytest.raises(LimitError, match="ask again in a minute"):
            ask(campaign).answer()
    assert waited == [None], "only the first one waited"
    with pytest.raises(LimitError, match="more than 5 s"):
        ask(campaign, CAMPAIGN._replace(task_id="t1"))

    assert drain(parts, HANDLERS) >= 1
    assert ask(campaign).answer().failures == 2


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("campaign", {"experiment": "nova", "campaign": "prod"}),
        ("campaigns", {}),
        ("resources", {"experiment": "nova", "by": "stage"}),
    ],
)
def test_every_kind_is_kept_and_counted_again_to_the_same(
    campaign: Production, parts: Parts, kind: str, words: dict[str, str]
) -> None:
    countings, question = counting.COUNTINGS, question_of(kind, words)
    assert question is not None
    with campaign.database.reading.connect() as connection:
        first = kept_answers.ask(connection, campaign.store, countings[kind], words, question)
    campaign.write(lambda writing: follow_up(writing, first))
    campaign.record(a_record(7, state="succeeded", task=task()))

    with campaign.database.reading.connect() as connection:
        stale = kept_answers.ask(
            connection, campaign.store, countings[kind], words, question
        ).answer()
    HANDLERS[kept_answers.COUNT](parts, question)
    with campaign.database.reading.connect() as connection:
        fresh = kept_answers.ask(
            connection, campaign.store, countings[kind], words, question
        ).answer()
        counted = countings[kind].answer(Asked(connection, campaign.store, words, 5.0))

    assert members(stale) == {**members(first.answer()), "is_current": False}
    assert members(fresh)["is_current"]
    assert body(fresh) == body(counted) != body(stale)


def test_large_campaigns_are_counted_before_anybody_asks(
    campaign: Production, parts: Parts
) -> None:
    assert counting.enqueue_first_counts(parts) >= 1  # and windows, as long as it is new
    drain(parts, HANDLERS)

    assert counting.enqueue_first_counts(parts) == 0
    with campaign.database.reading.connect() as connection:
        assert (
            read_answer(connection, '{"campaign":"prod","experiment":"nova","kind":"campaign"}')
            is not None
        )


def test_usual_windows_of_many_jobs_are_counted_before_anybody_asks(
    campaign: Production, parts: Parts
) -> None:
    """Under the very questions that the first page and that of throughput ask."""
    now = datetime.now(UTC)
    for number in range(11, 15):
        campaign.record(a_record(number, ended_at=now.isoformat(), task=task()))

    # Four windows by state and their marks, what the first page asks, the campaign and its graph
    assert counting.enqueue_first_counts(parts) == 11
    drain(parts, HANDLERS)

    assert counting.enqueue_first_counts(parts) == 0
    asked = [
        '{"by":"state","kind":"throughput","measure":"jobs"}',
        '{"by":"state","kind":"throughput","measure":"jobs","since":"24h"}',
        '{"by":"state","kind":"throughput","measure":"jobs","since":"364d"}',
        '{"kind":"throughput","since":"24h"}',
        '{"kind":"marks"}',
        '{"kind":"marks","since":"364d"}',
    ]
    with campaign.database.reading.connect() as connection:
        assert all(read_answer(connection, question) for question in asked)
