"""Recipes that had more than one result.

They show nondeterminism across the fleet without running anything again.

A job is compared with others of the same recipe (provenance.records.recipes): what came out, and
where else they differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import recipe_page
from jobprov.provenance.db.queries.comparisons.recipes import (
    ResultRow,
    divergent_recipes,
    jobs_with,
    results_of,
)
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.job_record import JobRecord, Output
from jobprov.provenance.records.recipes import is_comparable, parse_recipe, recipe_text, result_text
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together

MOST = 500
_JOBS_A_RESULT = 20
_RESULTS_SHOWN = 20
_VARIABLES = "environment.variables."


def read_recipe(text: str, field: str = "recipe_id") -> bytes:
    """Return what the database holds of a recipe id.

    Raises:
        BadInputError: this is none.
    """
    found = parse_recipe(text)
    if found is None:
        words = "a recipe id: r1: or r1w: and 32 hexadecimal digits"
        raise BadInputError(f"{field}: {text[:60]!r} is not {words}.", {field: [f"not {words}"]})
    return found


def list_divergent(
    connection: Connection,
    *,
    experiment: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{"recipes": [{recipe_id, job_count, results, url}], "next"}`.

    They are recipes with results that differ.

    Raises:
        BadInputError: a limit or cursor that is none.
    """
    if not 1 <= limit <= MOST:
        raise BadInputError(f"limit: between 1 and {MOST}.", {"limit": [f"between 1 and {MOST}"]})
    after = None if cursor is None else read_recipe(cursor, "cursor")
    found = divergent_recipes(connection, experiment=experiment, after=after, limit=limit + 1)
    by_recipe: dict[bytes, list[ResultRow]] = {}
    for row in results_of(connection, found[:limit]):
        by_recipe.setdefault(row.recipe, []).append(row)
    divergent = {recipe: rows for recipe, rows in by_recipe.items() if _is_divergent(rows)}
    firsts = job_summaries(connection, [row.first for rows in divergent.values() for row in rows])
    recipes = [_recipe_json(recipe, rows, firsts) for recipe, rows in divergent.items()]
    return {
        "recipes": recipes,
        "next": recipe_text(found[limit - 1]) if len(found) > limit else None,
    }


def show_recipe(connection: Connection, store: Store, recipe_id: str) -> dict[str, Any]:
    """Return a recipe's results with the jobs that had them, and the outputs that differ.

    It also says what else differs between those jobs.

    Raises:
        BadInputError: no recipe id.
        NotFoundError: no recorded job has it.
    """
    recipe = read_recipe(recipe_id)
    rows = results_of(connection, [recipe])
    if not rows:
        raise NotFoundError(f"No recorded job has the recipe {recipe_id}.")
    keys = {
        row: jobs_with(connection, recipe, row.result, limit=_JOBS_A_RESULT)
        for row in rows[:_RESULTS_SHOWN]
    }
    summaries = job_summaries(connection, [key for listed in keys.values() for key in listed])
    results = [
        {**_result_json(row), "jobs": [summaries[key] for key in listed]}
        for row, listed in keys.items()
    ]
    compared = [row for row in keys if row.result is not None]
    records = _records(connection, store, [row.first for row in compared])
    names = [result_text(row.result) for row in compared if row.result is not None]
    pairs = list(zip(names, records, strict=True))
    return {
        "recipe_id": recipe_id,
        "job_count": sum(row.job_count for row in rows),
        "result_count": sum(row.result is not None for row in rows),
        "is_divergent": _is_divergent(rows),
        "results": results,
        "outputs": _differing_outputs(pairs),
        "differences": _differing_facts(pairs),
        "url": recipe_page(recipe_id),
    }


def _is_divergent(rows: Sequence[ResultRow]) -> bool:
    """Return whether two results of one algorithm differ.

    Those of two algorithms say nothing of each other.
    """
    results = [row.result for row in rows if row.result is not None]
    return any(
        is_comparable(one, other) for place, one in enumerate(results) for other in results[:place]
    )


def _recipe_json(
    recipe: bytes, rows: Sequence[ResultRow], firsts: Mapping[int, Any]
) -> dict[str, Any]:
    return {
        "recipe_id": recipe_text(recipe),
        "job_count": sum(row.job_count for row in rows),
        "results": [
            {**_result_json(row), "example": firsts[row.first]} for row in rows[:_RESULTS_SHOWN]
        ],
        "url": recipe_page(recipe_text(recipe)),
    }


def _result_json(row: ResultRow) -> dict[str, Any]:
    return {
        "result_id": None if row.result is None else result_text(row.result),
        "job_count": row.job_count,
    }


def _records(
    connection: Connection, store: Store, keys: Sequence[int]
) -> list[tuple[JobRecord, dict[str, Any]]]:
    received = {
        key: summary["received_at"] for key, summary in job_summaries(connection, keys).items()
    }
    held = {key: HeldJob(key, received[key], {}, {}) for key in keys}
    fill_records(connection, store, held)
    readings = [read_together(held[key].records_but(None)) for key in keys]
    return [(reading.record, reading.raw) for reading in readings]


def _differing_outputs(
    pairs: Sequence[tuple[str, tuple[JobRecord, dict[str, Any]]]],
) -> list[dict[str, Any]]:
    """Return outputs, by their place in the record, whose digests differ between results."""
    count = max((len(record.outputs or ()) for _, (record, _) in pairs), default=0)
    found = []
    for place in range(count):
        digests: dict[str, str | None] = {}
        names: dict[str, str | None] = {}
        for result, (record, _) in pairs:
            outputs = record.outputs or []
            output = outputs[place] if place < len(outputs) else None
            names[result] = None if output is None else output.name
            digests[result] = None if output is None else _digest_of(output)
        if len(set(digests.values())) > 1:
            found.append({"position": place, "names": names, "digests": digests})
    return found


def _digest_of(output: Output) -> str | None:
    return output.content_digest or output.sha256 or next(iter(output.checksums or ()), None)


def _differing_facts(
    pairs: Sequence[tuple[str, tuple[JobRecord, dict[str, Any]]]],
) -> list[dict[str, Any]]:
    """Return what the recipe leaves out and the jobs do not agree in.

    That is host, processor, system, variables.
    """
    facts = {result: _facts(raw) for result, (_, raw) in pairs}
    fields = sorted(
        {field for known in facts.values() for field in known},
        key=lambda field: (field.startswith(_VARIABLES), field),
    )
    found = []
    for field in fields:
        values = {result: known.get(field) for result, known in facts.items()}
        if len({str(value) for value in values.values()}) > 1:
            found.append({"field": field, "values": values})
    return found


def _facts(raw: dict[str, Any]) -> dict[str, Any]:
    environment, host = raw.get("environment") or {}, raw.get("host") or {}
    facts: dict[str, Any] = {
        f"host.{name}": value
        for name, value in host.items()
        if isinstance(value, str | int | float)
    }
    facts |= {
        f"environment.os.{name}": value for name, value in (environment.get("os") or {}).items()
    }
    facts |= {
        f"environment.{name}": environment.get(name)
        for name in ("locale", "timezone", "libraries_sha256")
        if name in environment
    }
    facts |= {
        f"{_VARIABLES}{name}": value for name, value in (environment.get("variables") or {}).items()
    }
    return facts
