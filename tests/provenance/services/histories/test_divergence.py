"""Where the histories of two files part."""

from typing import Any

import pytest

from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.histories import divergence as find_divergence_module
from jobprov.provenance.services.histories import lineage_lists as lineage_lists_module
from jobprov.provenance.services.histories.divergence import find_divergence
from jobprov.provenance.services.histories.lineage_lists import list_ancestors
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id


def made(number: int, stage: str, source: str | None, name: str, argument: str) -> dict[str, Any]:
    inputs = [file_entry(source, sum(source.encode()), 10)] if source else []
    return a_record(
        number,
        inputs=inputs,
        outputs=[file_entry(name, sum(name.encode()), 10)],
        task={"task_id": f"{stage}-{number}", "stage": stage, "unit": "u"},
        software=[{"name": "code", "revision": "a" * 40}],
        seeds=[{"seed": 1}],
        command={"argv": ["run", argument]},
        started_at=f"2026-01-01T00:0{['gen', 'reco', 'merge'].index(stage)}:00Z",
        ended_at=f"2026-01-01T01:00:{number:02}Z",
    )


@pytest.fixture
def filled(production: Production) -> Production:
    production.record(
        made(1, "gen", None, "g", "gen"),
        made(2, "reco", "g", "r1", "plain"),
        made(3, "reco", "g", "r2", "fancy"),
        made(4, "reco", "g", "r3", "plain"),
        made(5, "merge", "r1", "m1", "join"),
        made(6, "merge", "r2", "m2", "join"),
    )
    return production


def test_the_earliest_pair_of_one_stage_with_other_recipes_is_found(filled: Production) -> None:
    with filled.database.reading.connect() as connection:
        found = find_divergence(connection, "m1", "m2")

    assert (found.stage, found.common_jobs) == ("reco", 1)
    assert (found.a.job_id, found.b.job_id) == (job_id(2), job_id(3))
    assert found.a.recipe_id != found.b.recipe_id


def test_files_of_one_recipe_part_nowhere_and_a_stage_of_one_alone_is_told(
    filled: Production,
) -> None:
    with filled.database.reading.connect() as connection:
        same, longer = (
            find_divergence(connection, "r1", "r3"),
            find_divergence(connection, "r1", "m1"),
        )
        with pytest.raises(NotFoundError):
            find_divergence(connection, "m1", "nowhere")

    assert (same.stage, same.a, same.b) == (None, None, None)
    assert (longer.stage, longer.a, longer.b.job_id) == ("merge", None, job_id(5))


def test_a_job_of_no_task_is_of_the_stage_that_it_says(production: Production) -> None:
    first, second = made(1, "gen", None, "a", "plain"), made(2, "gen", None, "b", "fancy")
    production.record(first, {**second, "task": {"stage": "gen"}})

    with production.database.reading.connect() as connection:
        found = find_divergence(connection, "a", "b")

    assert (found.stage, found.a.job_id, found.b.job_id) == (
        "gen",
        job_id(1),
        job_id(2),
    )


def test_one_content_that_very_many_jobs_made_is_no_long_history(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job that wrote an empty log may have made the one that was read; a limit is of files."""
    for module in (find_divergence_module, lineage_lists_module):
        monkeypatch.setattr(module, "MOST_FILES", 3)
    logs = [a_record(number, outputs=[file_entry("empty.log", 1)]) for number in range(1, 6)]
    read = [file_entry("empty.log", 1)]
    production.record(*logs, a_record(6, inputs=read, outputs=[file_entry("a", 2)]))

    with production.database.reading.connect() as connection:
        listed = list_ancestors(connection, "a")
        found = find_divergence(connection, "a", "empty.log")

    assert (len(listed.files), listed.count, listed.is_truncated) == (5, 1, False)
    assert found.common_jobs == 1


@pytest.mark.parametrize("order", [1, -1])
def test_of_jobs_that_started_at_one_moment_the_same_is_shown_whichever_was_recorded_first(
    production: Production, order: int
) -> None:
    parts = [
        made(number, "reco", None, f"r{number}", "plain" if number < 4 else "fancy")
        for number in range(2, 6)
    ]
    merges = [
        {
            **made(number, "merge", None, name, "join"),
            "inputs": [part["outputs"][0] for part in these],
        }
        for number, name, these in ((6, "m1", parts[:2]), (7, "m2", parts[2:]))
    ]
    production.record(*[*parts, *merges][::order])

    with production.database.reading.connect() as connection:
        found = find_divergence(connection, "m1", "m2")

    assert (found.a.job_id, found.b.job_id) == (job_id(2), job_id(4))
