"""Which partitions the tables for analysis have, and a stamp of each that changes with its rows.

A partition is what one experiment recorded of jobs that ended in one month (UTC); a job without an
end counts by when its first record came. A stamp is made of counts and sums over what can change:
jobs, the ledger entries behind them, declarations of their tasks, classes of failures, and which
jobs files are resolved to. The last changes whenever any job knows more about a name, so the ledger
does not show which months an entry touches: the sums are taken anew each time, in one pass over
each table.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.job_rows import RUNNING
from jobprov.provenance.db.statements.driver import fetch

_MONTH = {
    "sqlite": "strftime('%Y-%m', coalesce(j.ended_at, j.received_at) / 1000000, 'unixepoch')",
    "postgresql": "to_char(coalesce(j.ended_at, j.received_at) AT TIME ZONE 'UTC', 'YYYY-MM')",
}
_MICROSECONDS = {
    "sqlite": "p.received_at",
    "postgresql": "CAST(extract(epoch FROM p.received_at) * 1000000 AS bigint)",
}
# Products, here and below: sums of keys stay the same where two tasks swap their stages, or two
# files the jobs that made them. Declarations decide which stage a job is of, and which outputs count
_JOBS = """
SELECT j.experiment_id, {month}, min(j.id), max(j.id), count(*), sum(CAST(j.id AS bigint)),
sum(j.index_version),
sum((CAST(j.id AS bigint) & 2147483647) * (coalesce(t.stage_id, 0) & 2147483647) & 2147483647),
sum((CAST(j.id AS bigint) & 2147483647) * j.output_count & 2147483647),
sum(CASE WHEN t.has_several_stages THEN j.id & 2147483647 ELSE 0 END)
FROM jobs j LEFT JOIN tasks t ON t.id = j.task_id
WHERE j.state <> {running} GROUP BY 1, 2
"""
_ENTRIES = """
SELECT j.experiment_id, {month}, count(*), sum(CAST(l.id AS bigint))
FROM ledger_entries l JOIN jobs j ON j.id = l.job_id
WHERE l.job_id IS NOT NULL AND j.state <> {running} GROUP BY 1, 2
"""
_PROVISIONAL = """
SELECT j.experiment_id, {month}, count(*), sum({microseconds} & 2147483647)
FROM provisional_records p JOIN jobs j ON j.id = p.job_id
WHERE j.state <> {running} GROUP BY 1, 2
"""
_FAILURES = """
SELECT j.experiment_id, {month}, count(*), sum(f.version), sum(f.built_in),
sum(coalesce(f.log_at, -1)), sum(length(f.class_name) + length(f.cause) + length(f.cause_key))
FROM failure_classes f JOIN jobs j ON j.id = f.job_id
WHERE j.state <> {running} GROUP BY 1, 2
"""
_EDGES = """
SELECT j.experiment_id, {month}, count(*), sum(CAST(e.identity_id AS bigint)),
sum((CAST(r.identity_id AS bigint) & 2147483647) * (CAST(r.claim_id AS bigint) & 2147483647)
& 2147483647), sum(CAST(r.is_sure AS integer))
FROM jobs j JOIN claims c ON c.job_id = j.id JOIN parents e ON e.claim_id = c.id
LEFT JOIN producers r ON r.identity_id = e.identity_id
WHERE j.state <> {running} GROUP BY 1, 2
"""
# Renamed files are claims that a catalog's sighting adds
_CLAIMS = """
SELECT j.experiment_id, {month}, count(*), sum(CAST(c.id AS bigint))
FROM jobs j JOIN claims c ON c.job_id = j.id WHERE j.state <> {running} GROUP BY 1, 2
"""
_STAMPED = (_ENTRIES, _PROVISIONAL, _FAILURES, _CLAIMS, _EDGES)


class Partition(NamedTuple):
    """The jobs of an experiment that ended in a month, such as `2026-01`."""

    experiment: int
    month: str

    @property
    def begin(self) -> datetime:
        """Return the moment that the month begins with."""
        return datetime.strptime(self.month, "%Y-%m").replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Return the moment that the next month begins with."""
        months = self.begin.year * 12 + self.begin.month
        return self.begin.replace(year=months // 12, month=months % 12 + 1)


class Stamped(NamedTuple):
    """What is known of a partition without its rows.

    Attributes:
        first: the least key of its jobs.
        last: the greatest.
        stamp: changes whenever its rows do.
    """

    first: int
    last: int
    stamp: str


def stamped_partitions(connection: Connection) -> dict[Partition, Stamped]:
    """Return every partition with its stamp."""
    dialect = connection.dialect.name
    words: Mapping[str, object] = {
        "month": _MONTH[dialect],
        "microseconds": _MICROSECONDS[dialect],
        "running": RUNNING,
    }
    ranges: dict[Partition, tuple[int, int]] = {}
    sums: dict[Partition, list[str]] = {}
    for experiment, month, first, last, *numbers in fetch(connection, _JOBS.format(**words)):
        partition = Partition(experiment, month)
        ranges[partition] = first, last
        sums[partition] = [_joined(numbers)]
    for statement in _STAMPED:
        sums_of_table = {}
        for experiment, month, *numbers in fetch(connection, statement.format(**words)):
            sums_of_table[Partition(experiment, month)] = _joined(numbers)
        for partition, parts in sums.items():
            parts.append(sums_of_table.get(partition, ""))
    stamped = {}
    for partition in sorted(ranges):
        stamped[partition] = Stamped(*ranges[partition], "/".join(sums[partition]))
    return stamped


def _joined(numbers: list[int | None]) -> str:
    return ".".join(str(int(number or 0)) for number in numbers)
