"""Which parameters of listed jobs are why they are in the list."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.configurations.job_sources import sources_of
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.configurations.parameters import (
    MOST_VALUES,
    ParameterSearch,
    fetch_among,
)
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.tables import ParameterKey, ParameterValue
from jobprov.provenance.db.tables.configurations import SETS_A_BLOCK

_MOST_OF_A_JOB = 3

_SETS_OF_JOBS = """
SELECT j.id, e.set_id FROM jobs AS j
JOIN closure_set_members AS m ON m.closure_set_id = j.closure_set_id
JOIN evaluations AS e ON e.closure_id = m.closure_id AND e.experiment_id = j.experiment_id
WHERE e.set_id IS NOT NULL AND j.id {among}
"""
_BLOCKS = {
    "sqlite": """
SELECT p.value_id, t.block, t.members FROM parameters AS p
JOIN parameter_set_tables AS t ON t.table_id = p.table_id
WHERE p.value_id {{among}} AND t.block IN ({blocks})
""",
    # the offsets keep it from merging a few tables with every row of the blocks
    "postgresql": """
SELECT p.value_id, t.block, t.members
FROM (SELECT value_id, table_id FROM parameters WHERE value_id {{among}} OFFSET 0) AS p
CROSS JOIN LATERAL (
    SELECT block, members FROM parameter_set_tables
    WHERE table_id = p.table_id AND block IN ({blocks}) OFFSET 0
) AS t
""",
}


class MatchedValue(NamedTuple):
    """A parameter, or a variable as `$NAME`, and its canonical value as the index keeps it."""

    key: str
    value: str


def matched_values(search: ParameterSearch, jobs: Sequence[int]) -> dict[int, list[MatchedValue]]:
    """Return the first parameters of each job for which a condition holds, by key of the job."""
    connection = search.connection
    rows = fetch_among(connection, _SETS_OF_JOBS, jobs) if jobs else []
    sets = {found for _, found in rows}
    values_of = _values_of_sets(search, sets) if sets else {}
    wanted = {value for values in values_of.values() for value in values}
    names = _named(connection, wanted)
    matched = _matched_sources(connection, search.condition, jobs)
    for job, found in rows:
        of_job = matched.setdefault(job, [])
        for value in values_of.get(found, ()):
            if names[value] not in of_job and len(of_job) < _MOST_OF_A_JOB:
                of_job.append(names[value])
    return matched


def _matched_sources(
    connection: Connection, condition: ParameterCondition, jobs: Sequence[int]
) -> dict[int, list[MatchedValue]]:
    """Return the first source files of each job for which the condition holds."""
    matched: dict[int, list[MatchedValue]] = {}
    for job, key, value in sources_of(connection, condition, jobs):
        of_job = matched.setdefault(job, [])
        if len(of_job) < _MOST_OF_A_JOB:
            of_job.append(MatchedValue(key, value))
    return matched


def _values_of_sets(search: ParameterSearch, sets: Iterable[int]) -> Mapping[int, list[int]]:
    """Return keys of the first values of each set for which the condition holds."""
    values_of: dict[int, list[int]] = {found: [] for found in sets}
    looked_at = 0
    for values in search.first_values():
        _add_values(search.connection, values[:_MOST_OF_A_JOB], values_of)
        # what all configurations have is found with the first few
        if any(len(keys) < _MOST_OF_A_JOB for keys in values_of.values()):
            _add_values(search.connection, values[_MOST_OF_A_JOB:], values_of)
        looked_at += len(values)
        if looked_at >= MOST_VALUES or all(values_of.values()):
            break
    return values_of


def _add_values(
    connection: Connection, values: Sequence[int], values_of: dict[int, list[int]]
) -> None:
    """Add those of the values that a set has to the few that are known of it."""
    if not values:
        return
    places: dict[int, list[int]] = {}
    for found in sorted(values_of):
        places.setdefault(found // SETS_A_BLOCK, []).append(found)
    blocks = ",".join(map(str, places))
    statement = _BLOCKS[connection.dialect.name].format(blocks=blocks)
    for value, block, members in fetch_among(connection, statement, values):
        for found in places[block]:
            is_member = members >> (found % SETS_A_BLOCK) & 1
            if is_member and len(values_of[found]) < _MOST_OF_A_JOB:
                values_of[found].append(value)


def _named(connection: Connection, values: Iterable[int]) -> dict[int, MatchedValue]:
    keys = sorted(values)
    query = (
        select(ParameterValue.id, ParameterKey.name, ParameterValue.canonical)
        .join(ParameterKey, ParameterKey.id == ParameterValue.key_id)
        .where(among(connection, ParameterValue.id, keys))
    )
    if not keys:
        return {}
    return {
        key: MatchedValue(name, canonical) for key, name, canonical in connection.execute(query)
    }
