"""Rows of the tables for analysis, for a page of jobs at a time.

Each function takes the jobs of a page by key with their ids and returns plain tuples in the order
of the columns in `services/analysis/schema.py`. Nothing is asked job by job. What jobs share is
looked up once and remembered in a `Shared`, up to a limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.analysis.partitions import Partition
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.recording.configurations.art_runs import RecordedClosure
from jobprov.provenance.db.recording.job_rows import RUNNING, STATES
from jobprov.provenance.db.recording.module_rows import unpack_costs
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import moment_for, select_among
from jobprov.provenance.db.tables import (
    Closure,
    ClosureSetMember,
    Evaluation,
    Job,
    Parameter,
    ParameterKey,
    ParameterSetTable,
    ParameterValue,
)
from jobprov.provenance.db.tables.configurations import sets_in
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.files.checksums import unpack_checksums
from jobprov.provenance.records.files.names import full_name

Row = tuple[Any, ...]
Jobs = Mapping[int, str]
"""The jobs of a page: their ids by key, in the order of the page."""

_MOST_REMEMBERED = 20_000
_MOST_EDGES = 50_000
"""Edges that are read at once, unless a single job has more."""
_JOBS = """
SELECT j.id, j.uuid, j.state, nullif(s.campaign, ''), nullif(s.name, ''), t.task_id, j.unit,
j.batch_id, j.retry_of, j.rerun_of, nullif(h.site, ''), nullif(h.facility, ''),
nullif(h.hostname, ''), j.software_set_id, j.received_at, j.started_at, j.ended_at, j.wall_seconds,
j.cpu_seconds, j.max_rss_bytes, j.exit_code, j.exit_signal, j.failed_step, j.error_class,
j.message, j.output_count
FROM jobs j
LEFT JOIN tasks t ON t.id = j.task_id
LEFT JOIN stages o ON o.id = j.stage_id AND t.has_several_stages AND o.name <> ''
LEFT JOIN stages s ON s.id = coalesce(o.id, t.stage_id, j.stage_id)
LEFT JOIN hosts h ON h.id = j.host_id
WHERE j.id >= ? AND j.id <= ? AND j.experiment_id = ? AND j.state <> {running}
AND coalesce(j.ended_at, j.received_at) >= ? AND coalesce(j.ended_at, j.received_at) < ?
ORDER BY j.id LIMIT ?
"""
_SOFTWARE_SET = 13
"""Place of that column in a row of `_JOBS`."""
_FILES = """
SELECT c.job_id, f.namespace, f.name, c.position, c.status, c.data_tier, c.event_count,
i.size_bytes, i.checksums, b.namespace, b.name
FROM claims c JOIN files f ON f.id = c.file_id JOIN identities i ON i.id = c.identity_id
LEFT JOIN claims a ON a.id = c.alias_of LEFT JOIN files b ON b.id = a.file_id
WHERE c.job_id {among} ORDER BY c.job_id, c.position, f.name, f.namespace, c.id
"""
_EDGE_COUNTS = """
SELECT c.job_id, count(*) FROM claims c JOIN parents e ON e.claim_id = c.id
WHERE c.job_id {among} GROUP BY c.job_id
"""
_EDGES = """
SELECT c.job_id, f.namespace, f.name, x.name, p.uuid, g.namespace, g.name, r.is_sure
FROM claims c JOIN files f ON f.id = c.file_id
JOIN parents e ON e.claim_id = c.id
JOIN identities i ON i.id = e.identity_id
JOIN files g ON g.id = i.file_id JOIN experiments x ON x.id = g.experiment_id
LEFT JOIN producers r ON r.identity_id = e.identity_id
LEFT JOIN claims m ON m.id = r.claim_id
LEFT JOIN jobs p ON p.id = m.job_id
WHERE c.job_id {among} ORDER BY c.job_id, c.position, c.id, g.name, g.namespace, i.id, m.id
"""
_CONFIGURATIONS = """
SELECT j.id, m.position, m.closure_id FROM jobs j
JOIN closure_set_members m ON m.closure_set_id = j.closure_set_id
WHERE j.id {among} ORDER BY j.id, m.position
"""
_CLOSURES = "SELECT id, sha256, document FROM closures WHERE id {among}"
_MODULES = """
SELECT job_id, module_set_id, costs FROM module_costs WHERE job_id {among} ORDER BY job_id
"""
_MODULE_SETS = "SELECT id, document FROM module_sets WHERE id {among}"
_VALUES = (
    select(
        ParameterValue.key_id,
        ParameterValue.canonical,
        ParameterValue.number,
        ParameterSetTable.block,
        ParameterSetTable.members,
    )
    .join(Parameter, Parameter.value_id == ParameterValue.id)
    .join(ParameterSetTable, ParameterSetTable.table_id == Parameter.table_id)
)
_KEYS_AT_ONCE = 20
_FAILURES = """
SELECT job_id, class_name, transient, cause_key, cause, rule, version, log_name, log_at
FROM failure_classes WHERE job_id {among} ORDER BY job_id
"""


class _Configuration(NamedTuple):
    """What jobs that ran a configuration have in common."""

    step: str | None
    main: str | None
    sha256: str
    is_one: bool


class Shared:
    """What jobs share, looked up once: names of code, configurations, lists of modules."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._releases: dict[int, str] = {}
        self._configurations: dict[int, _Configuration] = {}
        self._modules: dict[int, list[list[str | None]]] = {}

    def releases(self, software_sets: set[int]) -> Mapping[int, str]:
        """Return what people call the code of each software list."""
        if unknown := _unknown(self._releases, software_sets):
            self._releases.update(code_versions(self._connection, unknown))
        return self._releases

    def configurations(self, closures: set[int]) -> Mapping[int, _Configuration]:
        """Return configurations by key."""
        unknown = _unknown(self._configurations, closures)
        for key, sha256, document in select_among(self._connection, _CLOSURES, unknown):
            recorded = msgspec.json.decode(unpack(document), type=RecordedClosure)
            self._configurations[key] = _Configuration(
                recorded.step, recorded.main, bytes(sha256).hex(), recorded.is_configuration
            )
        return self._configurations

    def modules(self, module_sets: set[int]) -> Mapping[int, list[list[str | None]]]:
        """Return step, path, label and type of the modules of each list."""
        unknown = _unknown(self._modules, module_sets)
        for key, document in select_among(self._connection, _MODULE_SETS, unknown):
            self._modules[key] = msgspec.json.decode(document)
        return self._modules


def _unknown(known: dict[int, Any], wanted: set[int]) -> list[int]:
    """Return what is to be looked up; forgets what is known where that is too much."""
    if len(known) + len(wanted) > _MOST_REMEMBERED:
        known.clear()
    return sorted(wanted - known.keys())


class JobPage(NamedTuple):
    """Some jobs of a partition in the order of their keys, and their rows of `jobs`."""

    jobs: dict[int, str]
    rows: list[Row]


def job_pages(
    connection: Connection,
    partition: Partition,
    *,
    first: int,
    last: int,
    size: int,
    shared: Shared,
) -> Iterator[JobPage]:
    """Yield the jobs of a partition whose keys lie between two, a page at a time."""
    statement = _JOBS.format(running=RUNNING)
    begin, end = moment_for(connection, partition.begin), moment_for(connection, partition.end)
    while first <= last:
        values = (first, last, partition.experiment, begin, end, size)
        fetched = fetch(connection, statement, values)
        if not fetched:
            return
        yield _job_page(fetched, shared)
        first = fetched[-1][0] + 1


def _job_page(fetched: Sequence[Row], shared: Shared) -> JobPage:
    """Return the page of jobs that rows of `_JOBS` are."""
    releases = shared.releases({row[_SOFTWARE_SET] for row in fetched} - {None})
    page = JobPage({}, [])
    for fetched_row in fetched:
        (
            key, uuid, state, campaign, stage, task_id, unit, batch_id, retry_of, rerun_of,
            site, facility, hostname, software_set, *measured,
        ) = fetched_row  # fmt: skip
        job_id = uuid_text(uuid)
        page.jobs[key] = job_id
        row = (
            job_id, STATES[state], campaign, stage, task_id, unit, batch_id,
            uuid_or_none(retry_of), uuid_or_none(rerun_of),
            site, facility, hostname, releases.get(software_set) or None, *measured,
        )  # fmt: skip
        page.rows.append(row)
    return page


def file_rows(connection: Connection, jobs: Jobs) -> list[Row]:
    """Return the files that these jobs made."""
    rows = []
    for job, namespace, name, *facts, checksums, birth_space, birth in select_among(
        connection, _FILES, jobs
    ):
        renamed = None if birth is None else full_name(birth, birth_space)
        words = unpack_checksums(bytes(checksums)) or None
        rows.append((jobs[job], full_name(name, namespace), *facts, words, renamed))
    return rows


def edge_rows(connection: Connection, jobs: Jobs) -> Iterator[list[Row]]:
    """Yield what the files of these jobs were made from, in parts."""
    for part in _parts_by_edges(connection, jobs):
        rows = []
        for row in select_among(connection, _EDGES, part):
            job, namespace, name, experiment, producer, parent_space, parent, is_sure = row
            sure = None if is_sure is None else bool(is_sure)
            made_by, made_from = uuid_or_none(producer), full_name(parent, parent_space)
            child = jobs[job], full_name(name, namespace)
            rows.append((*child, experiment, made_by, made_from, sure))
        yield rows


def _parts_by_edges(connection: Connection, jobs: Jobs) -> Iterator[list[int]]:
    """Yield the jobs in parts with not too many edges together."""
    part: list[int] = []
    edges = 0
    for job, count in sorted(select_among(connection, _EDGE_COUNTS, jobs)):
        if part and edges + count > _MOST_EDGES:
            yield part
            part, edges = [], 0
        part.append(job)
        edges += count
    if part:
        yield part


def configuration_rows(connection: Connection, jobs: Jobs, shared: Shared) -> list[Row]:
    """Return the configurations that these jobs ran."""
    members = select_among(connection, _CONFIGURATIONS, jobs)
    known = shared.configurations({closure for _, _, closure in members})
    rows = []
    for job, position, closure in members:
        configuration = known[closure]
        if configuration.is_one:
            step, main, sha256, _ = configuration
            rows.append((jobs[job], position, step, main, sha256))
    return rows


def module_rows(connection: Connection, jobs: Jobs, shared: Shared) -> list[Row]:
    """Return what the modules of these jobs took."""
    costs = select_among(connection, _MODULES, jobs)
    known = shared.modules({module_set for _, module_set, _ in costs})
    rows = []
    for job, module_set, packed in costs:
        columns = zip(known[module_set], *unpack_costs(bytes(packed)), strict=True)
        for position, (names, events, total, longest, growth) in enumerate(columns):
            rows.append((jobs[job], position, *names, events, total, longest, growth))
    return rows


def failure_rows(connection: Connection, jobs: Jobs) -> list[Row]:
    """Return how the failures of these jobs are classified."""
    rows = []
    for job, name, transient, *facts in select_among(connection, _FAILURES, jobs):
        is_transient = None if transient is None else bool(transient)
        rows.append((jobs[job], name, is_transient, *facts))
    return rows


def parameter_rows(
    connection: Connection, experiment: int, patterns: Sequence[str]
) -> Iterator[list[Row]]:
    """Yield the values that configurations of an experiment's jobs give to parameters.

    Args:
        experiment: its key.
        patterns: names of parameters, where `*` stands for any characters.
    """
    closures = _evaluated_closures(connection, experiment)
    keys = _parameter_keys(connection, patterns) if closures else {}
    ordered = sorted(keys, key=keys.__getitem__)
    for part in chunks(ordered, _KEYS_AT_ONCE):
        query = _VALUES.where(among(connection, ParameterValue.key_id, part))
        rows: set[Row] = set()  # a value may be in several tables of one set
        for key, canonical, number, block, members in connection.execute(query):
            for parameter_set in sets_in(block, members):
                for sha256 in closures.get(parameter_set, ()):
                    rows.add((sha256, keys[key], canonical, number))
        yield sorted(rows, key=lambda row: (row[1], row[2], row[0]))


def _parameter_keys(connection: Connection, patterns: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for pattern in patterns:
        conditions = matches(connection.dialect.name, ParameterKey.name, pattern)
        query = select(ParameterKey.id, ParameterKey.name).where(*conditions)
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def _evaluated_closures(connection: Connection, experiment: int) -> dict[int, list[str]]:
    """Return the configurations that jobs of an experiment ran, by key of their parameter set."""
    ran = (
        select(Job.id)
        .join(ClosureSetMember, ClosureSetMember.closure_set_id == Job.closure_set_id)
        .where(
            ClosureSetMember.closure_id == Evaluation.closure_id, Job.experiment_id == experiment
        )
        .exists()
    )
    query = (
        select(Evaluation.set_id, Closure.sha256)
        .join(Closure, Closure.id == Evaluation.closure_id)
        .where(Evaluation.experiment_id == experiment, ran)
        .order_by(Closure.sha256)
    )
    closures: dict[int, list[str]] = {}
    for parameter_set, sha256 in connection.execute(query):
        if parameter_set is not None:
            closures.setdefault(parameter_set, []).append(sha256)
    return closures


def uuid_text(value: Any) -> str:
    """Return a UUID of the database as text."""
    digits = bytes(value).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid_or_none(value: Any) -> str | None:
    """Return a UUID of the database as text, None where there is none."""
    return None if value is None else uuid_text(value)
