"""Campaigns in the large: counted exactly, and kept where they are large.

They are counted again when something was recorded.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.provenance.db.queries.statistics import campaign_graph as queries
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.errors import LimitError, NotFoundError
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.kept_answers import counting
from jobprov.provenance.services.kept_answers.counting import FOLDED, enqueue_first_counts
from jobprov.provenance.services.kept_answers.kept_answers import (
    COUNT,
    CountedAnswer,
    ask,
    follow_up,
    question_of,
)
from jobprov.provenance.services.statistics import campaign_graph as folding
from jobprov.provenance.services.statistics.campaign_graph import FoldedCampaign, fold_campaign
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer
from tests.library.production import Production
from tests.library.records import a_record, file_entry

UNITS = 6


def software(ref: str) -> list[dict[str, Any]]:
    """Return the code that a job ran."""
    return [
        {
            "name": "novasoft",
            "vcs": "git",
            "repository": "https://example.org/novasoft.git",
            "requested_ref": ref,
        }
    ]


def campaign_jobs() -> Iterator[dict[str, Any]]:
    """Yield reco jobs, one of which failed first, and a merge of what they made.

    They are of two releases.
    """
    calibration = file_entry("calib", 7, role="shared")
    yield a_record(1, task=task("calib"), outputs=[file_entry("calib", 7)], software=software("v1"))
    for unit in range(UNITS):
        more = {
            "task": task("reco", f"t{unit % 2}"),
            "software": software("v1" if unit < 4 else "v2"),
        }
        read = [file_entry(f"raw{unit}", unit + 10), calibration]
        if unit == 0:
            yield a_record(99, inputs=read, state="failed", **more)
        yield a_record(
            100 + unit, inputs=read, outputs=[file_entry(f"reco{unit}", unit + 20)], **more
        )
    read = [file_entry(f"reco{unit}", unit + 20) for unit in range(UNITS)]
    yield a_record(
        200,
        inputs=read,
        outputs=[file_entry("merged", 30)],
        task=task("merge"),
        software=software("v2"),
    )


def task(stage: str, task_id: str = "") -> dict[str, Any]:
    return {"task_id": task_id or stage, "campaign": "prod", "stage": stage}


@pytest.fixture
def campaign(production: Production) -> Production:
    production.record(*campaign_jobs())
    return production


def read_folded(production: Production, **more: Any) -> FoldedCampaign:
    with production.database.reading.connect() as connection:
        return fold_campaign(connection, "nova", "prod", **more)


def test_stages_that_no_file_joins_come_in_the_order_in_which_they_began(
    production: Production,
) -> None:
    stages = ("sim", "reco", "caf")
    begun = {stage: f"2026-11-24T0{hour}:00:00Z" for hour, stage in enumerate(stages)}
    production.record(
        *(
            a_record(900 - hour, task=task(stage), started_at=begun[stage])
            for hour, stage in enumerate(stages)
        )
    )

    assert read_folded(production).stages == list(stages)


def test_files_tell_the_order_of_stages_where_there_are_any(campaign: Production) -> None:
    assert read_folded(campaign).stages == []


def test_classes_and_the_files_between_them_are_counted(campaign: Production) -> None:
    graph = read_folded(campaign).graph

    classes = [
        (some.stage, some.code_version, some.state, some.jobs, some.revision)
        for some in graph.classes
    ]
    assert classes == [
        ("calib", "novasoft v1", "succeeded", 1, "v1"),
        ("merge", "novasoft v2", "succeeded", 1, "v2"),
        ("reco", "novasoft v1", "failed", 1, "v1"),
        ("reco", "novasoft v1", "succeeded", 4, "v1"),
        ("reco", "novasoft v2", "succeeded", 2, "v2"),
    ]  # fmt: skip
    assert [(flow.source, flow.target, flow.files) for flow in graph.flows] == [
        (3, 1, 4),
        (4, 1, 2),
    ]


def test_counting_in_small_parts_gives_the_same(
    campaign: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_folded(campaign).graph
    monkeypatch.setattr(queries, "_JOBS_AT_ONCE", 1)

    assert read_folded(campaign).graph == whole


def test_versions_are_put_together_where_groups_are_too_many(
    campaign: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_GROUPS", 4)

    graph = read_folded(campaign).graph

    assert [(some.stage, some.state, some.jobs) for some in graph.classes] == [
        ("calib", "succeeded", 1), ("merge", "succeeded", 1), ("reco", "failed", 1), ("reco", "succeeded", 6),
    ]  # fmt: skip
    assert [(flow.source, flow.target, flow.files) for flow in graph.flows] == [(3, 1, 6)]


def test_chosen_tasks_are_counted_alone(
    campaign: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read_folded(campaign, task_ids=["t1", "merge"]).graph

    assert [(some.stage, some.jobs) for some in graph.classes] == [
        ("merge", 1),
        ("reco", 2),
        ("reco", 1),
    ]
    with pytest.raises(NotFoundError, match="has no task t9"):
        read_folded(campaign, task_ids=["t1", "t9"])
    monkeypatch.setattr(folding, "MOST_OF_TASKS", 2)
    with pytest.raises(LimitError, match="name fewer"):
        read_folded(campaign, task_ids=["t1", "merge"])


def test_unknown_campaigns_are_not_found(campaign: Production) -> None:
    with campaign.database.reading.connect() as connection:
        for experiment, name in (("nova", "none"), ("none", "prod")):
            with pytest.raises(NotFoundError, match="none"):
                fold_campaign(connection, experiment, name)


def ask_for_campaign(production: Production, **how: Any) -> CountedAnswer[FoldedCampaign]:
    fields = {"experiment": "nova", "campaign": "prod"}
    question = question_of(FOLDED.kind, fields)
    with production.database.reading.connect() as connection:
        return ask(connection, production.store, FOLDED, fields, question, **how)


def test_a_campaign_too_large_to_wait_for_is_counted_for_the_next_one_who_asks(
    campaign: Production, tmp_path: Path
) -> None:
    first = ask_for_campaign(campaign, patience=0.0)
    with pytest.raises(LimitError, match="in the background"):
        first.answer()
    campaign.write(lambda writing: follow_up(writing, first))
    parts = Parts(campaign.database, campaign.writer, campaign.store, tmp_path)
    drain(parts, HANDLERS)

    found = ask_for_campaign(campaign, patience=0.0).answer()

    assert found.jobs == 9
    assert found.is_current


def test_a_large_campaign_is_kept_and_counted_again_after_a_pause(
    campaign: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_COUNTED_AT_ONCE", 3)
    writer = Writer(campaign.database, campaign.store)
    parts = Parts(campaign.database, writer, campaign.store, tmp_path)
    enqueue_first_counts(parts)  # without anybody asking
    drain(parts, HANDLERS)

    kept = ask_for_campaign(campaign, patience=0.0)
    campaign.record(a_record(300, task=task("merge"), software=software("v2")))
    stale = ask_for_campaign(campaign, patience=0.0)
    writer.run(lambda writing: follow_up(writing, stale))

    assert kept.answer().is_current
    assert not kept.needs_follow_up
    assert not stale.answer().is_current
    assert stale.answer().graph == kept.answer().graph  # what is known is told, and that it is old
    with campaign.database.reading.connect() as connection:
        query = select(WorkItem.key, WorkItem.due_at).where(WorkItem.kind == COUNT)
        [(question, due)] = connection.execute(query).all()
    counted_at = datetime.fromisoformat(stale.answer().counted_at)
    assert due - counted_at >= timedelta(seconds=10)

    HANDLERS[COUNT](parts, question)
    fresh = ask_for_campaign(campaign, patience=0.0).answer()
    writer.close()
    assert fresh.is_current
    assert fresh.jobs == kept.answer().jobs + 1
