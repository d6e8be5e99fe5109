"""A campaign of ten million jobs, made of one that was recorded: its rows again, as other jobs.

Recording ten million jobs takes hours. Here some hundred thousand are recorded, and their rows are
inserted again and again by `INSERT … SELECT`, table by table. Each copy is what the generator would
have made of later trees: keys are moved past those of the copy before, names, tasks and batch ids
get the numbers of other trees, job ids and digests other first bytes, times move by days. What jobs
of a campaign share (hosts, stages, software, configurations of a stage, `hist.root`) is shared by
the copies too.

What is not real: the ledger of a copy is the same sealed segments under other numbers (links to the
same bodies), so a record that is opened is that of the job that was recorded, and there is no chain
of segments between copies; `jobprov archive check` would say so. Nothing that is measured here reads
a chain.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, Table

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.recording.files.edges import CROWD
from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.tables.name_index import TRIGRAMS

MOST_COPIES = 100
"""With what was recorded: two of the four digits of a tree say the copy, two the tree in it."""
MOST_JOBS = 300_000
"""They can be recorded: 100 trees have some more."""
DAYS_A_COPY = 3
"""Ten million jobs then start within a year."""
_SEGMENTS_A_COPY = 10_000
_HEAD_BYTES = 6
"""Of a digest or job id: so many are other ones in each copy, and none begins so by chance."""
_SHARED_SETS = 10
"""Jobs from which on a set of configurations is the stage's and not a job's own."""

_COPIED = (
    "tasks",
    "files",
    "identities",
    "closures",
    "closure_files",
    "closure_sets",
    "closure_set_members",
    "jobs",
    "claims",
    "mentions",
    "parents",
    "producers",
    "job_sources",
    "ledger_entries",
    "possessions",
    "failure_classes",
    "node_attempts",
)
"""Tables of which each copy has rows of its own."""
_SHARED = frozenset(
    {
        "experiments",
        "stages",
        "hosts",
        "gap_sets",
        "software",
        "software_sets",
        "software_set_members",
        "chain_heads",
        "derivations",
        "own_archive",
        "work",
    }
)
_NAMES = frozenset({"files.name", "jobs.unit", "node_attempts.unit", "job_sources.canonical"})
_DIGESTS = {
    "jobs.uuid": 0,
    "jobs.recipe": 1,
    "possessions.sha256": 0,
    "closures.sha256": 0,
    "closure_sets.sha256": 0,
}
"""Columns of them, each with how many bytes before the digest say what it is of."""
_STEPS = {"ledger_entries.segment": _SEGMENTS_A_COPY, "node_attempts.node": 1}
"""Columns of numbers, each with the step from copy to copy; nodes are digests, far apart."""
_TIMES = frozenset({"jobs.started_at", "jobs.ended_at"})
_ARRIVALS = frozenset({"jobs.received_at", "ledger_entries.received_at"})
_WHILE_FILLED = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
"""Settings of PostgreSQL while rows are multiplied: what a crash would cost is filled anew."""
# No foreign key says these; see `LedgerEntry` and `Claim`
_REFERENCES = {"ledger_entries.job_id": "jobs", "claims.alias_of": "claims"}


class _Language(NamedTuple):
    """How the databases differ.

    Attributes:
        source: the schema in which the recorded rows stay.
        moved: a moment some seconds later.
        with_head: a digest with another beginning, in hex digits, after so many bytes.
    """

    source: str
    moved: Callable[[str, int], str]
    with_head: Callable[[str, str, int], str]


_SQLITE = _Language(
    "recorded",
    lambda column, seconds: f"{column} + {seconds * 1_000_000}",
    # Of two blobs SQLite makes a text of the same bytes
    lambda column, head, start: (
        f"CAST(substr({column}, 1, {start}) || x'{head}'"
        f" || substr({column}, {start + _HEAD_BYTES + 1}) AS BLOB)"
    ),
)
_POSTGRESQL = _Language(
    "recorded",
    lambda column, seconds: f"{column} + interval '{seconds} seconds'",
    lambda column, head, start: (
        f"substr({column}, 1, {start}) || '\\x{head}'::bytea"
        f" || substr({column}, {start + _HEAD_BYTES + 1})"
    ),
)


class Multiplier:
    """Inserts copies of what was recorded into the same database.

    Args:
        database: as it was recorded and sealed; nothing else works on it meanwhile.
        recorded: of SQLite, a copy of the database's file as it was recorded.
        archive: the folder of the archive.
    """

    def __init__(self, database: Database, recorded: Path, archive: Path) -> None:
        self._database, self._archive = database, archive
        self._language = _SQLITE if database.is_sqlite else _POSTGRESQL
        self._connection: Any = database.writing.raw_connection()
        self._driver: Any = self._connection.driver_connection
        if database.is_sqlite:
            self._set_up_sqlite(recorded)
        else:
            self._set_up_postgresql()
        source = self._language.source
        self._spans = {
            name: self._number(f'SELECT coalesce(max(id), 0) FROM {source}."{name}"')  # noqa: S608
            for name in _COPIED
            if "id" in Base.metadata.tables[name].columns
        }
        self._shared_files = self._find_shared_files()
        self._shared_sets, self._shared_closures = self._find_shared_sets()
        self._recording_seconds = self._find_recording_seconds()
        # What was counted before there were more jobs
        self._driver.execute("DELETE FROM kept_answers")
        if database.is_sqlite:
            self._driver.commit()
        self._check_tables()
        self._dropped: list[str] = []

    def insert(self, copies: range) -> None:
        """Insert copies by number, the first is 1, and commit each.

        Raises:
            ValueError: a number is too large for names, or too many jobs were recorded.
        """
        if copies.stop > MOST_COPIES:
            message = f"there is room for {MOST_COPIES - 1} copies in the names of the campaign"
            raise ValueError(message)
        recorded = self._number(f"SELECT count(*) FROM {self._language.source}.jobs")  # noqa: S608
        if recorded > MOST_JOBS:
            message = f"at most {MOST_JOBS:,} recorded jobs can be multiplied"
            raise ValueError(message)
        if not self._database.is_sqlite:
            self._drop_indexes()
        for copy in copies:
            self._driver.execute("BEGIN")
            for name in _COPIED:
                self._driver.execute(self._insertion(Base.metadata.tables[name], copy))
            if self._database.is_sqlite:
                self._index_names()
            self._driver.execute("COMMIT")
            self._share_segments(copy)

    def move_arrivals(self) -> None:
        """Have what was recorded arrive before its copies, which arrive before now; once."""
        seconds = -MOST_COPIES * self._recording_seconds
        self._driver.execute("BEGIN")
        for place in sorted(_ARRIVALS):
            table, _, column = place.partition(".")
            moved = self._language.moved(column, seconds)
            self._driver.execute(f'UPDATE "{table}" SET {column} = {moved}')  # noqa: S608
        self._driver.execute("COMMIT")

    def close(self) -> None:
        """Build indexes, note what became crowded, let sequences go on after the copies, and close."""
        for definition in self._dropped:
            self._driver.execute(definition)
        self._driver.execute(
            f"UPDATE files SET is_crowded = true WHERE id IN ({_listed(self._shared_files)})"  # noqa: S608
            f" AND (SELECT count(*) FROM claims WHERE file_id = files.id) > {CROWD}"
        )
        if not self._database.is_sqlite:
            for name in self._spans:
                self._driver.execute(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'),"  # noqa: S608
                    f' (SELECT max(id) FROM "{name}"))'
                )
            self._driver.execute("VACUUM ANALYZE")  # as autovacuum does in time
            for name in _WHILE_FILLED:
                self._driver.execute(f"ALTER SYSTEM RESET {name}")
            self._driver.execute("SELECT pg_reload_conf()")
        self._connection.invalidate()

    def _drop_indexes(self) -> None:
        """Drop what can be built in a tenth of the time afterwards: indexes that are no constraint."""
        found = self._driver.execute(
            "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
            " WHERE n.nspname = 'public' AND t.relname = ANY(%s)"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
            [list(_COPIED)],
        ).fetchall()
        for index, definition in found:
            self._dropped.append(definition)
            self._driver.execute(f"DROP INDEX {index}")

    def _set_up_sqlite(self, recorded: Path) -> None:
        for statement in (
            f"ATTACH '{recorded}' AS recorded",
            "PRAGMA foreign_keys=OFF",
            "PRAGMA synchronous=OFF",
            "PRAGMA cache_size=-3000000",
        ):
            self._driver.execute(statement)

    def _set_up_postgresql(self) -> None:
        self._driver.rollback()
        self._driver.autocommit = True
        for name, value in _WHILE_FILLED.items():
            self._driver.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        for statement in (
            "SELECT pg_reload_conf()",
            "SET session_replication_role = replica",  # foreign keys are not checked
            "SET synchronous_commit = off",
            "SET maintenance_work_mem = '1GB'",
            "CREATE SCHEMA IF NOT EXISTS recorded",
        ):
            self._driver.execute(statement)
        for name in _COPIED:
            # Made before the first copy: later ones find it
            self._driver.execute(
                f'CREATE TABLE IF NOT EXISTS recorded."{name}" AS TABLE public."{name}"'
            )

    def _check_tables(self) -> None:
        """Refuse to leave out a table: its answers would be wrong.

        Raises:
            ValueError: a table has rows and is neither copied nor shared.
        """
        for name in Base.metadata.tables.keys() - _SHARED - set(_COPIED):
            if self._number(f'SELECT count(*) FROM "{name}"'):  # noqa: S608
                message = f"rows of {name} cannot be multiplied yet"
                raise ValueError(message)

    def _find_shared_files(self) -> list[int]:
        """Return the keys of files whose names no tree is in."""
        rows = self._driver.execute(f"SELECT id, name FROM {self._language.source}.files")  # noqa: S608
        return [key for key, name in rows if renamed(name, 1) == name]

    def _find_shared_sets(self) -> tuple[list[int], list[int]]:
        """Return the keys of sets of configurations that many jobs share, and of their closures."""
        source = self._language.source
        sets = self._driver.execute(
            f"SELECT closure_set_id FROM {source}.jobs WHERE closure_set_id IS NOT NULL"  # noqa: S608
            f" GROUP BY closure_set_id HAVING count(*) >= {_SHARED_SETS}"
        ).fetchall()
        keys = [key for (key,) in sets]
        closures = self._driver.execute(
            f"SELECT DISTINCT closure_id FROM {source}.closure_set_members"  # noqa: S608
            f" WHERE closure_set_id IN ({_listed(keys)})"
        ).fetchall()
        return keys, [key for (key,) in closures]

    def _find_recording_seconds(self) -> int:
        rows = self._driver.execute(
            f"SELECT min(received_at), max(received_at) FROM {self._language.source}.jobs"  # noqa: S608
        )
        first, last = rows.fetchone()
        if self._database.is_sqlite:
            return int((last - first) // 1_000_000) + 1
        return int((last - first).total_seconds()) + 1

    def _insertion(self, table: Table, copy: int) -> str:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        values = ", ".join(self._value(column, copy) for column in table.columns)
        return (
            f'INSERT INTO "{table.name}" ({names})'  # noqa: S608 - names are ours
            f' SELECT {values} FROM {self._language.source}."{table.name}"'
            f" WHERE {self._condition(table)} ORDER BY {_key(table)}"
        )

    def _condition(self, table: Table) -> str:
        """Return which rows each copy has."""
        conditions = {
            "files": f"id NOT IN ({_listed(self._shared_files)})",
            "closures": f"id NOT IN ({_listed(self._shared_closures)})",
            "closure_files": f"closure_id NOT IN ({_listed(self._shared_closures)})",
            "closure_sets": f"id NOT IN ({_listed(self._shared_sets)})",
            "closure_set_members": f"closure_set_id NOT IN ({_listed(self._shared_sets)})",
            "ledger_entries": "job_id IS NOT NULL",
        }
        return conditions.get(table.name, "true")

    def _value(self, column: Column[Any], copy: int) -> str:
        """Return what stands in a column of a copy."""
        place, name = f"{column.table.name}.{column.name}", f'"{column.name}"'
        if target := _referenced(column):
            return self._key(target, name, copy)
        if place in _NAMES:
            return _renaming(name, copy)
        if place in _DIGESTS:
            return self._language.with_head(name, _head(copy), _DIGESTS[place])
        if place in _TIMES:
            return self._language.moved(name, copy * DAYS_A_COPY * 86_400)
        if place in _ARRIVALS:
            return self._language.moved(name, (copy - MOST_COPIES) * self._recording_seconds)
        return self._special_value(place, name, copy)

    def _special_value(self, place: str, name: str, copy: int) -> str:
        """Return what stands in a column with a rule of its own; of others, what stood there."""
        if place == "tasks.task_id":
            last = f"substr({name}, length({name}) - 1)"
            return f"substr({name}, 1, length({name}) - 4) || '{copy:02d}' || {last}"
        if place == "jobs.batch_id":
            return f"'{copy}' || {name}"
        if place in _STEPS:
            return f"{name} + {copy * _STEPS[place]}"
        if place == "identities.key":
            # A name that all copies share has an identity of each
            shared = _listed(self._shared_files)
            changed = self._language.with_head(name, _head(copy), 0)
            return f"CASE WHEN file_id IN ({shared}) THEN {changed} ELSE {name} END"
        if place == "closure_files.sha256":
            # The job's own file is the first
            changed = self._language.with_head(name, _head(copy), 0)
            return f"CASE position WHEN 0 THEN {changed} ELSE {name} END"
        return name

    def _key(self, table: str, name: str, copy: int) -> str:
        """Return a key of a copy: its own, or that of what all share."""
        moved = f"{name} + {copy * self._spans[table]}"
        shared = {
            "files": self._shared_files,
            "closures": self._shared_closures,
            "closure_sets": self._shared_sets,
        }.get(table)
        if not shared:
            return moved
        return f"CASE WHEN {name} IN ({_listed(shared)}) THEN {name} ELSE {moved} END"

    def _index_names(self) -> None:
        """Index parts of the new names, as the writer does."""
        self._driver.execute(
            f"INSERT INTO {TRIGRAMS} (rowid, name) SELECT id, name FROM files"  # noqa: S608
            f" WHERE id > (SELECT max(id) FROM {TRIGRAMS}_docsize) ORDER BY id"
        )

    def _share_segments(self, copy: int) -> None:
        """Have the copy's sealed segments: heads under other numbers, and links to the same bodies."""
        store = open_store(f"file:{self._archive}")
        for name in list(store.documents("ledger/")):
            experiment, _, rest = name.rpartition("/")
            number = int(rest[:8])
            if number >= _SEGMENTS_A_COPY:
                continue
            other = f"{experiment}/{number + copy * _SEGMENTS_A_COPY:08d}{rest[8:]}"
            if name.endswith(".head"):
                store.put_document(other, store.get_document(name))
                continue
            folder = self._archive / "documents"
            link = folder / f"{other}.document"
            if not link.exists():
                os.link(folder / f"{name}.document", link)

    def _number(self, statement: str) -> int:
        number: int = self._driver.execute(statement).fetchone()[0]
        return number


# Each beginning of a name that holds the number of a tree, and how it begins in a copy
_TREES: Sequence[tuple[str, str]] = (
    ("nova_r000", "nova_r{copy:03d}"),
    ("_t00", "_t{copy:02d}"),
    ("calibration_v00", "calibration_v{copy:02d}"),
)


def renamed(name: str, copy: int) -> str:
    """Return what a file, a unit or a task of the campaign is called in a copy."""
    for beginning, other in _TREES:
        name = name.replace(beginning, other.format(copy=copy))
    return re.sub(r"^(nova-prod5-.*-)00(\d\d)$", rf"\g<1>{copy:02d}\g<2>", name)


def _renaming(column: str, copy: int) -> str:
    """Return the same of a column of files and units, as SQL."""
    for beginning, other in _TREES:
        column = f"replace({column}, '{beginning}', '{other.format(copy=copy)}')"
    return column


def renamed_job(job_id: str, copy: int) -> str:
    """Return the job id of the same job in a copy."""
    digits = _head(copy) + job_id.replace("-", "")[2 * _HEAD_BYTES :]
    return str(UUID(digits))


def _head(copy: int) -> str:
    """Return the first bytes of a copy's digests and job ids, in hex digits."""
    return f"{copy:0{2 * _HEAD_BYTES}x}"


def _referenced(column: Column[Any]) -> str | None:
    """Return the table whose key, moved in each copy, stands in a column; None where none does."""
    place = f"{column.table.name}.{column.name}"
    if column.name == "id":
        return column.table.name
    if place in _REFERENCES:
        return _REFERENCES[place]
    for key in column.foreign_keys:
        if key.column.table.name in _COPIED:
            return key.column.table.name
    return None


def _key(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key.columns)


def _listed(keys: Sequence[int]) -> str:
    return ", ".join(map(str, keys)) or "-1"
