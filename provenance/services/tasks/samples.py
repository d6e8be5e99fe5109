"""Samples by data tier: what an analysis has, what it waits for, and which passes are of the past.

Source: http.md, `GET /samples`.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.tasks.tasks import (
    FoundTask,
    declared_tasks,
    outputs_of_tasks,
    versions_of_tasks,
)
from jobprov.provenance.db.tables import Experiment
from jobprov.provenance.db.time_limits import time_limit
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_documents,
)

MOST_TASKS = 2000
_Outputs = dict[str | None, tuple[int, int]]


def is_recorded(connection: Connection, experiment: str) -> bool:
    """Return whether anything was recorded of an experiment."""
    return (
        connection.execute(select(Experiment.id).where(Experiment.name == experiment)).first()
        is not None
    )


def list_samples(connection: Connection, store: Store, experiment: str) -> dict[str, Any]:
    """Return `{experiment, data_tiers, samples, archived}` of the 2,000 newest declared tasks of an experiment.

    A sample is `{sample, cells}`, by name; a cell has `data_tier`, `definitions`, `releases`
    (declared, else what its jobs ran), `tasks`, `files`, `expected_files`, `events` and
    `expected_events`, summed over its tasks. What was expected is None where a task does not say
    it. `archived` are the tasks declared obsolete, each with the same facts and its `sample`; they
    count in no cell. Tiers stand in the order of production.

    Raises:
        NotFoundError: no task of the experiment was declared.
        LimitError: counting took more than five seconds.
    """
    tasks = declared_tasks(connection, experiment, most=MOST_TASKS)
    if not tasks:
        raise NotFoundError(
            f"No task of experiment {experiment} was declared; `jobprov declare` or PUT /api/v1/tasks/ID does it."
        )
    documents = read_task_documents(connection, store, tasks)
    with time_limit(
        connection, "this experiment has more jobs than can be counted while one waits"
    ):
        outputs = outputs_of_tasks(connection, [task.key for task in tasks])
        versions = versions_of_tasks(connection, [task.key for task in tasks])
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    archived = []
    for task in reversed(tasks):  # the oldest first: stages in the order of production
        declaration = read_declaration(documents[task.key])
        sample = declaration.sample or task.campaign or "no campaign"
        releases = [declaration.release] if declaration.release else versions.get(task.key, [])
        for made in _made(task, declaration, outputs.get(task.key, {})):
            facts = {**made, "releases": releases}
            if declaration.is_obsolete:
                archived.append({"sample": sample, **facts})
            else:
                cells.setdefault((sample, facts["data_tier"]), []).append(facts)
    samples: dict[str, list[dict[str, Any]]] = {}
    for (sample, tier), found in cells.items():
        samples.setdefault(sample, []).append(_cell(tier, found))
    return {
        "experiment": experiment,
        "data_tiers": list(dict.fromkeys(tier for _, tier in cells)),
        "samples": [{"sample": name, "cells": samples[name]} for name in sorted(samples)],
        "archived": archived[::-1],
    }


def _made(task: FoundTask, declaration: Declaration, outputs: _Outputs) -> Iterable[dict[str, Any]]:
    """Yield what a task has of each data tier.

    What it expects stands with the tier of most of its files.
    """
    unsaid = declaration.data_tier or task.stage or "no tier"
    made: dict[str, Counter[str]] = {}
    for tier, (files, events) in outputs.items():
        made.setdefault(tier or unsaid, Counter()).update(files=files, events=events)
    main = declaration.data_tier or max(
        made, key=lambda tier: (made[tier]["files"], tier), default=unsaid
    )
    units = declaration.unit_count()
    for tier in sorted(made.keys() | {main}):
        is_main = tier == main
        yield {
            "data_tier": tier,
            "task_id": task.task_id,
            "definition": declaration.definition if is_main else None,
            "files": made.get(tier, Counter())["files"],
            "events": made.get(tier, Counter())["events"],
            # outputs of several tiers share outputs_per_unit: how many of them are of which tier
            # nobody said
            "expected_files": _times(units, declaration.outputs_per_unit)
            if is_main and len(made) <= 1
            else None,
            "expected_events": _times(units, declaration.events_per_unit) if is_main else None,
        }


def _times(units: int | None, each: int | None) -> int | None:
    return None if units is None or each is None else units * each


def _cell(tier: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    def whole(name: str) -> int | None:
        values = [facts[name] for facts in found]
        return None if None in values else sum(values)

    return {
        "data_tier": tier,
        "definitions": sorted({facts["definition"] for facts in found if facts["definition"]}),
        "releases": sorted({release for facts in found for release in facts["releases"]}),
        "tasks": [facts["task_id"] for facts in found],
        **{name: whole(name) for name in ("files", "expected_files", "events", "expected_events")},
    }
