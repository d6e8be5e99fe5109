"""Two sides held together: what jobs of a task say that they wrote, and what its catalog knows.

Where they differ, how often, which files.

Source: the catalog as `jobprov catalog sync` found it; nothing is asked of it here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.catalog import Catalog, Source
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog
from jobprov.provenance.db.queries.catalogs.catalogs import (
    CatalogedOutput,
    ClaimedOutput,
    cataloged_outputs,
    claimed_outputs,
    plain_name,
    process_counts,
    sync_state,
    units_in_catalog,
    used_units,
)
from jobprov.provenance.db.queries.fragments.node_facts import file_url, job_url
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.units import unit_rows
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.checksums import normal_checksum
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.units import count_units

MOST_FILES = 1000
DIFFERENCES = {
    "not-in-catalog": "A job succeeded and says that it wrote the file; the catalog does not know it.",
    "no-job": "The catalog knows the file; no job that succeeded says that it wrote it.",
    "size-differs": "Job and catalog say different sizes.",
    "checksum-differs": "Job and catalog say different checksums of the same kind.",
    "task-id-lost": "The catalog's metadata do not name the task; it was lost on the way.",
    "no-parent": "The catalog knows the file, but not as made from a unit of the task.",
}
"""Kinds of differences, in the order in which they matter."""


def compare_catalog(
    connection: Connection, store: Store, task: FoundTask, *, catalogs: Catalogs | None = None
) -> dict[str, Any]:
    """Return `{task_id, experiment, synced_at, asked_at, problem, units, differences, silent, processes, draining_query}`.

    `units` has `{expected, in_catalog, without, by_catalog}`; `differences` `{kind, meaning, count,
    files}` of each kind that there is, files up to a thousand; `silent` the units that a process
    was given and of which neither the end of a job nor an output is known: `{unit, process_id,
    batch_id, node, status}`; `processes` counts them by status. All is as of `synced_at`, None
    before the first whole comparison. `draining_query` selects in the catalog's language what still
    drains; None where the list was not made from it, or no catalog is named.
    """
    document = read_task_document(connection, store, task)
    declaration = read_declaration(document) if document else None
    state = sync_state(connection, task.key)
    units = count_units(connection, task, declaration)
    found = units_in_catalog(connection, [task.key])[task.key]
    claims, known = claimed_outputs(connection, task.key), cataloged_outputs(connection, task.key)
    is_listed = declaration is not None and declaration.listed_units() is not None
    rows = (
        list(_differences(task, claims, known, is_listed=is_listed))
        if state and state.finished_at
        else []
    )
    return {
        "task_id": task.task_id,
        "experiment": task.experiment,
        "synced_at": state.finished_at.isoformat() if state and state.finished_at else None,
        "asked_at": state.asked_at.isoformat() if state else None,
        "problem": state.problem if state else None,
        "units": {
            "expected": units.expected,
            "in_catalog": len(found),
            "without": len(list(_draining(declaration, found, units.entries)))
            if declaration
            else None,
            "by_catalog": units.by_catalog,
        },
        "differences": _counted(task, rows),
        "silent": _silent(connection, task, found),
        "processes": process_counts(connection, task.key),
        "draining_query": _query(declaration, catalogs or {}, task.experiment),
    }


def list_draining(connection: Connection, store: Store, task: FoundTask) -> list[str]:
    """Return the units of which the catalog knows no output and that nobody waived.

    What is still to be processed.

    Raises:
        BadInputError: the task has no list of units, or was not compared with its catalog yet.
    """
    document = read_task_document(connection, store, task)
    declaration = read_declaration(document) if document else None
    state = sync_state(connection, task.key)
    if declaration is None or declaration.listed_units() is None:
        raise BadInputError(
            f"Task {task.task_id} has no frozen list of units.",
            {"task_id": ["has no list of units"]},
        )
    if state is None or state.finished_at is None:
        raise BadInputError(
            f"Task {task.task_id} was not compared with its catalog yet: `jobprov catalog sync` does that.",
            {"task_id": ["not compared yet"]},
        )
    entries = count_units(connection, task, declaration).entries
    return list(_draining(declaration, units_in_catalog(connection, [task.key])[task.key], entries))


def draining_query(declaration: Declaration, catalog: Catalog) -> str | None:
    """Return the query that selects the draining list from what the task's list was made from.

    None where that is not known.
    """
    source = declaration.units_from
    if source is None:
        return None
    query = catalog.source_query(
        Source(source.definition, source.snapshot_id, source.dataset, source.query)
    )
    return catalog.unprocessed_query(query, declaration.output_metadata or {})


def _query(declaration: Declaration | None, catalogs: Catalogs, experiment: str) -> str | None:
    if declaration is None or declaration.units_from is None or experiment not in catalogs:
        return None
    try:
        return draining_query(declaration, open_catalog(catalogs, experiment))
    except BadInputError:  # the experiment's catalog is another one by now
        return None


def _draining(
    declaration: Declaration, found: set[str], waived: Mapping[str, int]
) -> Iterator[str]:
    return (
        unit
        for unit in dict.fromkeys(declaration.listed_units() or ())
        if unit not in found and unit not in waived
    )


class _Difference(NamedTuple):
    """A file that both sides do not say the same of."""

    kind: str
    claim: ClaimedOutput | None
    output: CatalogedOutput | None


def _differences(
    task: FoundTask,
    claims: Iterable[ClaimedOutput],
    known: Sequence[CatalogedOutput],
    *,
    is_listed: bool,
) -> Iterator[_Difference]:
    in_catalog: dict[str, list[CatalogedOutput]] = defaultdict(list)
    for output in known:
        in_catalog[output.name].append(output)
    born: dict[int, list[ClaimedOutput]] = defaultdict(list)
    for claim in claims:
        born[claim.origin].append(claim)
    made: set[tuple[str, str]] = set()
    for names in born.values():
        if not names[0].is_done:
            continue
        likest = (_likest(task, claim, in_catalog.get(claim.name, ())) for claim in names)
        found = [output for output in likest if output is not None]
        made.update((output.namespace, output.name) for output in found)
        if found:
            yield from _contradictions(task, names[0], found[0])
        else:
            yield _Difference("not-in-catalog", names[0], None)
    files: dict[tuple[str, str], list[CatalogedOutput]] = defaultdict(list)
    for output in known:
        files[output.namespace, output.name].append(output)
    for file, outputs in files.items():
        if file not in made:
            yield _Difference("no-job", None, outputs[0])
        if is_listed and not any(output.unit for output in outputs):
            yield _Difference("no-parent", None, outputs[0])


def _likest(
    task: FoundTask, claim: ClaimedOutput, outputs: Iterable[CatalogedOutput]
) -> CatalogedOutput | None:
    """Return the file that a claim is of.

    Of a name in several namespaces, where the claim says none, one that nothing contradicts.
    """

    def unlikeness(output: CatalogedOutput) -> tuple[bool, bool, str]:
        is_other = _has_other_size(claim, output) or _has_other_sum(claim, output)
        return is_other, output.task_id != task.task_id, output.namespace

    return min(filter(claim.may_be, outputs), key=unlikeness, default=None)


def _has_other_size(claim: ClaimedOutput, output: CatalogedOutput) -> bool:
    return (
        None not in (claim.size_bytes, output.size_bytes) and claim.size_bytes != output.size_bytes
    )


def _has_other_sum(claim: ClaimedOutput, output: CatalogedOutput) -> bool:
    mine, its = _sums(claim.checksums), _sums(output.checksums)
    return any(mine[kind] != its[kind] for kind in mine.keys() & its.keys())


def _contradictions(
    task: FoundTask, claim: ClaimedOutput, output: CatalogedOutput
) -> Iterator[_Difference]:
    if _has_other_size(claim, output):
        yield _Difference("size-differs", claim, output)
    if _has_other_sum(claim, output):
        yield _Difference("checksum-differs", claim, output)
    if output.task_id != task.task_id:
        yield _Difference("task-id-lost", claim, output)


def _sums(checksums: str) -> dict[str, str]:
    """Return checksums by kind, in the form that compares.

    Zeros that any kind may be written with or without are left off.
    """
    pairs = (normal_checksum(word).partition(":")[::2] for word in checksums.split())
    return {kind: value.lower().lstrip("0") or "0" for kind, value in pairs}


def _row(
    task: FoundTask, claim: ClaimedOutput | None, output: CatalogedOutput | None
) -> dict[str, Any]:
    one = claim or output
    assert one is not None  # noqa: S101 - every caller gives at least one
    job = claim.job_id if claim else output.job_id if output else None
    return {
        "name": plain_name(output.namespace, output.name) if output else one.name,
        "url": file_url(one.name, task.experiment, one.namespace),
        "unit": (claim.unit if claim else None) or (output.unit if output else None) or None,
        "job_id": job,
        "job_url": job_url(job) if claim and job else None,
        "process_id": output.process_id if output else None,
        "batch_id": (claim.batch_id if claim else None) or (output.batch_id if output else None),
        "node": (claim.node if claim else None) or (output.node if output else None),
        "job_says": _said(claim) if claim else None,
        "catalog_says": {**_said(output), "task_id": output.task_id} if output else None,
    }


def _said(one: ClaimedOutput | CatalogedOutput) -> dict[str, Any]:
    return {"size_bytes": one.size_bytes, "checksums": one.checksums.split()}


def _counted(task: FoundTask, found: Iterable[_Difference]) -> list[dict[str, Any]]:
    of_kind: dict[str, list[_Difference]] = defaultdict(list)
    for one in found:
        of_kind[one.kind].append(one)
    return [
        {
            "kind": kind,
            "meaning": meaning,
            "count": len(of_kind[kind]),
            "files": [_row(task, one.claim, one.output) for one in of_kind[kind][:MOST_FILES]],
        }
        for kind, meaning in DIFFERENCES.items()
        if kind in of_kind
    ]


def _silent(connection: Connection, task: FoundTask, found: set[str]) -> list[dict[str, Any]]:
    given = used_units(connection, task.key)
    if not given:
        return []
    heard = {
        row.unit for row in unit_rows(connection, [task.key])[task.key] if row.state != "running"
    } | found
    uses = {use.unit: use for use in given if use.unit not in heard}
    return [use._asdict() for use in uses.values()][:MOST_FILES]
