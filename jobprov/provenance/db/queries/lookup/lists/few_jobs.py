"""Filters by which an index finds few jobs, so that these can be sorted or counted as one likes."""

from typing import Any

from sqlalchemy import Connection, Select, select

from jobprov.provenance.db.queries.fragments.bounded import count_at_most
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
    look_up_keys,
    read_states,
)
from jobprov.provenance.db.recording.job_rows import FIRST_BAD
from jobprov.provenance.db.tables import Job

_OF_AN_INDEX: tuple[tuple[str, ...], ...] = (
    ("job_id",),
    ("batch_id",),
    ("recipe",),
    ("seed",),
    ("cause_id",),
    ("failure_class",),
    ("file_key",),
    ("reads_key",),
    ("experiment", "campaign", "stage", "task_id"),
    ("host", "site", "host_keys"),
    ("software", "software_keys", "revision", "software_sets"),
    ("started_after", "started_before"),
    ("state",),
)
"""Filters that an index answers, those together that one index does."""


def keys_of_few(connection: Connection, filters: JobFilters, most: int) -> Select[int] | None:
    """Return the query for the keys of jobs that pass some of the filters, at most so many.

    They are those filters by which an index finds few, and none of them where no more jobs are
    recorded. Return None where no index finds so few; `most` entries of each are read at most.
    """
    filters = look_up_keys(connection, filters)
    given = {name: value for name, value in filters._asdict().items() if value is not None}
    for names in _OF_AN_INDEX:
        of_index = {name: given[name] for name in names if name in given}
        if not _has_index(of_index):
            continue
        keys = keys_of(connection, JobFilters(**of_index))
        if count_at_most(connection, keys, most + 1) <= most:
            return keys.limit(most)
    everything = keys_of(connection, JobFilters())
    if count_at_most(connection, everything, most + 1) <= most:
        return everything.limit(most)
    return None


def keys_of(connection: Connection, filters: JobFilters) -> Select[int]:
    """Return the query for the integer keys of the jobs that pass the filters."""
    return select(Job.id).where(*conditions_by_keys(connection, filters))


def _has_index(filters: dict[str, Any]) -> bool:
    if "state" in filters:  # only jobs that did not succeed
        return min(read_states(filters["state"])) >= FIRST_BAD
    return bool(filters.keys() - {"experiment"})
